#include "server/model_card.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace hadal::server {
using json::Value;

std::string utc_time(int64_t unix_ms, bool with_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  const std::tm utc = fmt::gmtime(seconds);
  return with_ms ? fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", utc, unix_ms % 1000)
                 : fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", utc);
}

ModelCard::ModelCard(const LoadedModel& model, const EngineOptions& engine, std::string name,
                     std::vector<std::string> aliases, int64_t created_s)
    : name_(std::move(name)),
      aliases_(std::move(aliases)),
      family_(model.description.family),
      identity_(model.identity),
      fingerprint_("fp_hadal_" + model.identity.substr(0, 8)),
      created_s_(created_s),
      context_max_(model.description.context_tokens_max),
      context_(engine.context_tokens),
      bytes_(static_cast<int64_t>(model.checkpoint.tensor_bytes())) {}

bool ModelCard::answers_to(std::string_view name) const {
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.remove_suffix(kLatest.size());
  return name.empty() || name == name_ || std::find(aliases_.begin(), aliases_.end(), name) != aliases_.end();
}

Value ModelCard::openai_entry() const {
  Value entry = Value::object();
  entry.set("id", Value::string(name_))
      .set("object", Value::string("model"))
      .set("created", Value::number(created_s_))
      .set("owned_by", Value::string("hadal"))
      .set("type", Value::string("model"))
      .set("display_name", Value::string(name_))
      .set("created_at", Value::string(utc_time(created_s_ * 1000, false)))
      .set("context_length", Value::number(context_max_))
      .set("max_model_len", Value::number(context_));
  return entry;
}

Value ModelCard::openai_list() const {
  Value list = Value::object();
  list.set("object", Value::string("list"))
      .set("data", Value::array({openai_entry()}))
      .set("has_more", Value::boolean(false))
      .set("first_id", Value::string(name_))
      .set("last_id", Value::string(name_));
  return list;
}

Value ModelCard::details() const {
  Value details = Value::object();
  details.set("parent_model", Value::string(""))
      .set("format", Value::string("safetensors"))
      .set("family", Value::string(family_))
      .set("families", Value::array({Value::string(family_)}))
      .set("parameter_size", Value::string(""))
      .set("quantization_level", Value::string(""));
  return details;
}

Value ModelCard::ollama_entry() const {
  Value entry = Value::object();
  entry.set("name", Value::string(name_ + ":latest"))
      .set("model", Value::string(name_ + ":latest"))
      .set("modified_at", Value::string(utc_time(created_s_ * 1000, false)))
      .set("size", Value::number(bytes_))
      .set("digest", Value::string(identity_))
      .set("details", details());
  return entry;
}

Value ModelCard::ollama_tags() const {
  return Value::object({{"models", Value::array({ollama_entry()})}});
}

Value ModelCard::ollama_running() const {
  Value entry = ollama_entry();
  entry
      .set("expires_at", Value::string("2100-01-01T00:00:00Z"))  // it stays
      .set("size_vram", Value::number(int64_t{0}))
      .set("context_length", Value::number(context_));
  return Value::object({{"models", Value::array({std::move(entry)})}});
}

Value ModelCard::ollama_show() const {
  Value info = Value::object();
  info.set("general.architecture", Value::string(family_)).set(family_ + ".context_length", Value::number(context_));
  Value capabilities = Value::array();
  for (const std::string_view what : {"completion", "tools", "thinking"}) capabilities.push(Value::string(what));
  Value body = Value::object();
  for (const std::string_view key : {"license", "modelfile", "parameters", "template", "system"}) {
    body.set(key, Value::string(""));
  }
  body.set("details", details())
      .set("model_info", std::move(info))
      .set("capabilities", std::move(capabilities))
      .set("modified_at", Value::string(utc_time(created_s_ * 1000, false)));
  return body;
}

}  // namespace hadal::server
