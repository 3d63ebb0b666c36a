// The command line of `hadal run`, and what it means: checked, translated, with the model's own defaults filled in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "conversation.h"
#include "model_options.h"
#include "terminal/chat_commands.h"
#include "terminal/chat_settings.h"

namespace hadal::cli {

struct RunOptions {
  ModelOptions model;
  std::string positional_prompt;
  std::optional<std::string> prompt;  // -p
  std::string file;                   // -f
  std::string system;
  std::string think = "off";
  std::string tools;  // path
  bool raw = false;
  bool interactive = false;
  bool json = false;
  bool show_thinking = false;
  bool verbose = false;

  // Absent: the model's generation_config.json decides, else the neutral value.
  std::optional<double> temperature, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<int64_t> top_k, max_tokens;
  std::optional<uint64_t> seed;
  std::optional<int> logprobs;
  std::vector<std::string> stop;
  std::vector<std::string> logit_bias;  // ID=BIAS

  void add_to(CLI::App& command);
};

// What can be said before a model is loaded: a MODEL that is no path, an unknown --think, options that exclude each
// other. All errors are wrong usage.
[[nodiscard]] Result<void> check_usage(const RunOptions& options);

[[nodiscard]] Result<void> parse_think(const RunOptions& options, Conversation& conversation);

// Sampling, limits and stop strings. Errors: wrong usage, naming the option.
Result<ChatSettings> chat_settings(const RunOptions& options, const LoadedModel& model);

// OpenAI's list of tools, or an object that holds it as "tools". Null without --tools. Errors: NotFound, Corrupt,
// Invalid, with the file and the JSON path.
Result<json::Value> read_tools(const RunOptions& options);

// -p, then the file, then what is piped in, with blank lines between them; one line end at the end of a file or pipe is
// dropped. `has_pipe`: standard input is no terminal. Nothing when none of them is given. Errors: Io,
// NotFound, Limit, Invalid (not UTF-8), each naming the source.
Result<std::optional<std::string>> read_prompt(const RunOptions& options, bool has_pipe);

}  // namespace hadal::cli
