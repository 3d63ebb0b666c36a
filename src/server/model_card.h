// How the served model presents itself to each API.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "engine/engine.h"

namespace hadal::server {

class ModelCard {
 public:
  // `name` is what clients call it; aliases are names that are taken as well.
  ModelCard(const LoadedModel& model, const EngineOptions& engine, std::string name, std::vector<std::string> aliases,
            int64_t created_s);

  const std::string& name() const { return name_; }
  const std::string& fingerprint() const { return fingerprint_; }  // "fp_hadal_" + digits of model and build
  // Its name, with or without ":latest", an alias, or nothing at all.
  bool answers_to(std::string_view name) const;

  json::Value openai_list() const;  // OpenAI's and Anthropic's clients read the same body
  json::Value openai_entry() const;
  json::Value ollama_tags() const;
  json::Value ollama_running() const;
  json::Value ollama_show() const;

 private:
  json::Value ollama_entry() const;
  json::Value details() const;

  std::string name_;
  std::vector<std::string> aliases_;
  std::string family_;
  std::string identity_;
  std::string fingerprint_;
  int64_t created_s_;
  int64_t context_max_;  // of the model
  int64_t context_;      // in force
  int64_t bytes_;
};

// "2026-11-23T09:15:00Z", with milliseconds when asked for.
std::string utc_time(int64_t unix_ms, bool with_ms);

}  // namespace hadal::server
