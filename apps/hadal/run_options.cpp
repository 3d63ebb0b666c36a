#include "run_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "base/io.h"
#include "base/utf8.h"
#include "conversation.h"
#include "hub/model_name.h"
#include "sampling/stop_matcher.h"

namespace hadal::cli {
namespace {

constexpr uint64_t kPromptBytesMax = 64 << 20;  // a million tokens are about 4 MB; more is the wrong file
constexpr size_t kShownBytesMax = 100;          // of a prompt that was taken for a path
constexpr uint64_t kToolsBytesMax = 16 << 20;

Error wrong_usage(std::string_view what, std::string_view in, std::string_view want, std::string_view found,
                  std::string_view hint = "") {
  return {.code = ErrorCode::kInvalid,
          .what = std::string(what),
          .in = std::string(in),
          .want = std::string(want),
          .found = std::string(found),
          .hint = std::string(hint)};
}

Result<std::pair<TokenId, float>> parse_logit_bias(std::string_view text) {
  const size_t equals = text.find('=');
  TokenId id = 0;
  float bias = 0;
  bool is_right = equals != std::string_view::npos;
  if (is_right) {
    const char* const middle = text.data() + equals;
    const char* const end = text.data() + text.size();
    const auto id_end = std::from_chars(text.data(), middle, id);
    const auto bias_end = std::from_chars(middle + 1, end, bias);
    is_right = id_end.ec == std::errc() && id_end.ptr == middle && bias_end.ec == std::errc() && bias_end.ptr == end;
  }
  if (!is_right)
    return wrong_usage("a logit bias cannot be read", "--logit-bias", "ID=BIAS, for example 17=-100", text);
  return std::pair(id, bias);
}

// A file or pipe ends in a line end that nobody means.
std::string without_final_line_end(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

Result<std::string> checked_utf8(std::string text, std::string_view source) {
  if (utf8::is_valid(text)) return text;
  return wrong_usage("the prompt is not text", source, "UTF-8", "other bytes",
                     "a text file in another encoding: convert it with iconv");
}

// As CLI11 asks for it: what is wrong with the value, or nothing.
std::string wrong_think(std::string& value) {
  if (parse_chat_command("/think " + value).ok()) return {};
  return fmt::format("{} is not {}", value, kThinkWanted);
}

}  // namespace

void RunOptions::add_to(CLI::App& command) {
  model.add_to(command, true);
  command.add_option("prompt", positional_prompt, "The prompt; without one, a pipe is read or a chat begins");
  command.add_option("-p,--prompt", prompt, "The prompt, for the embedded model or any other");
  command.add_option("-f,--file", file, "A text file as prompt, behind -p if both are given")->type_name("FILE");
  command.add_flag("-i,--interactive", interactive,
                   "Chat, even when standard input is no terminal: each line is a message");
  command.add_flag("--raw", raw, "Continue the prompt as plain text: no roles, no system prompt");
  command.add_option("--system", system, "System prompt");
  command.add_option("--think", think, "Reason before answering: off, on, low, high, max or 1 to 100 (V4.1)")
      ->capture_default_str()
      ->check(CLI::Validator(&wrong_think, "EFFORT"));
  command.add_flag("--show-thinking", show_thinking, "Print the reasoning even when the output is no terminal");
  command.add_option("--tools", tools, "JSON file with the tools that the model may call, as OpenAI's API takes them")
      ->type_name("FILE");

  const std::string sampling = "Sampling";
  command.add_option("--temperature", temperature, "0 is greedy, up to 2; default: the model's recommendation")
      ->group(sampling);
  command.add_option("--top-p", top_p, "Only the best tokens that hold this share of the probability")->group(sampling);
  command.add_option("--top-k", top_k, "Only the k best tokens; 0: all")->group(sampling);
  command.add_option("--min-p", min_p, "Only tokens at least this probable relative to the best")->group(sampling);
  command.add_option("--repetition-penalty", repetition_penalty, "Above 1 against repeating")->group(sampling);
  command.add_option("--presence-penalty", presence_penalty, "Against tokens that the answer has")->group(sampling);
  command.add_option("--frequency-penalty", frequency_penalty, "The same for each occurrence")->group(sampling);
  command.add_option("--seed", seed, "The same seed gives the same answer; default: another one each time")
      ->group(sampling);
  command.add_option("-n,--max-tokens", max_tokens, "Longest answer; default: until the context is full")
      ->group(sampling);
  command.add_option("--stop", stop, "The answer ends before this text; may be given several times")
      ->group(sampling)
      ->allow_extra_args(false);
  command
      .add_option("--logit-bias", logit_bias, "Added to the logit of a token, -100 to 100; may be given several times")
      ->group(sampling)
      ->type_name("ID=BIAS")
      ->allow_extra_args(false);
  command.add_option("--logprobs", logprobs, "Log-probabilities of each token and of the N best, 0 to 20")
      ->group(sampling);

  command.add_flag("--json", json, "One JSON object at the end instead of text");
  command.add_flag("-v,--verbose", verbose, "Where the memory goes, and how fast it was, on stderr");
}

Result<void> check_usage(const RunOptions& options) {
  const std::string& path = options.model.model;
  std::error_code ignored;
  // A pulled model's name, or what could be one, is looked up when it is loaded.
  if (!path.empty() && !fs::exists(path, ignored) && !hub::parse_model_name(path).ok()) {
    return wrong_usage("no such model", "MODEL",
                       "a folder with config.json, a .safetensors or .gguf file, or OWNER/NAME of `hadal list`",
                       fmt::format("\"{}\"", utf8::front(path, kShownBytesMax)),
                       "a prompt for the embedded model needs -p: hadal run -p 'TEXT'");
  }
  if (options.prompt && !options.positional_prompt.empty()) {
    return wrong_usage("two prompts", "-p", "one prompt", fmt::format("\"{}\" as well", options.positional_prompt));
  }
  if (options.interactive && (options.raw || options.json)) {
    return wrong_usage("options exclude each other", "--interactive", "neither --raw nor --json", "both");
  }
  if (options.raw && !(options.system.empty() && options.tools.empty() && options.think == "off")) {
    return wrong_usage("options exclude each other", "--raw", "neither --system, --tools nor --think", "both");
  }
  if (options.max_tokens && *options.max_tokens < 1 && *options.max_tokens != -1) {
    return wrong_usage("value out of range", "--max-tokens", "at least 1, or -1 for no limit",
                       fmt::format("{}", *options.max_tokens));
  }
  HADAL_TRY(StopMatcher::create(options.stop));
  for (const std::string& bias : options.logit_bias) HADAL_TRY(parse_logit_bias(bias));
  return {};
}

Result<void> parse_think(const RunOptions& options, Conversation& conversation) {
  const Result<ChatCommand> command = parse_chat_command("/think " + options.think);
  if (!command.ok()) {
    return wrong_usage("unknown name for an option", "--think", std::string(kThinkWanted),
                       fmt::format("\"{}\"", options.think));
  }
  conversation.think = command->think;
  conversation.effort_level = command->effort_level;
  return {};
}

Result<ChatSettings> chat_settings(const RunOptions& options, const LoadedModel& model) {
  ChatSettings settings;
  SamplingOptions& sampling = settings.sampling;
  sampling.temperature = options.temperature.value_or(model.generation.temperature);
  sampling.top_p = options.top_p.value_or(model.generation.top_p);
  sampling.top_k = options.top_k.value_or(sampling.top_k);
  sampling.min_p = options.min_p.value_or(sampling.min_p);
  sampling.repetition_penalty = options.repetition_penalty.value_or(sampling.repetition_penalty);
  sampling.presence_penalty = options.presence_penalty.value_or(sampling.presence_penalty);
  sampling.frequency_penalty = options.frequency_penalty.value_or(sampling.frequency_penalty);
  sampling.logprobs = options.logprobs;
  for (const std::string& text : options.logit_bias) {
    HADAL_ASSIGN(const auto bias, parse_logit_bias(text));
    sampling.logit_bias[bias.first] = bias.second;
  }
  HADAL_TRY(check(sampling, model.description.vocab_size));
  settings.seed = options.seed;
  settings.max_tokens = options.max_tokens.value_or(-1);
  settings.stop = options.stop;
  return settings;
}

Result<json::Value> read_tools(const RunOptions& options) {
  if (options.tools.empty()) return json::Value();
  HADAL_ASSIGN(const std::string text, read_file(options.tools, kToolsBytesMax));
  HADAL_ASSIGN(json::Value tools, json::parse(text, options.tools));
  if (const json::Value* list = tools.find("tools")) tools = json::Value(*list);
  if (Result<void> checked = check_tools(tools); !checked.ok()) return std::move(checked.error().within(options.tools));
  return tools;
}

Result<std::optional<std::string>> read_prompt(const RunOptions& options, bool has_pipe) {
  std::vector<std::string> parts;
  if (options.prompt) parts.push_back(*options.prompt);
  if (!options.positional_prompt.empty()) parts.push_back(options.positional_prompt);
  if (!parts.empty()) HADAL_TRY(checked_utf8(parts.front(), "-p"));
  if (!options.file.empty()) {
    HADAL_ASSIGN(std::string text, read_file(options.file, kPromptBytesMax));
    HADAL_ASSIGN(text, checked_utf8(std::move(text), options.file));
    parts.push_back(without_final_line_end(std::move(text)));
  }
  if (has_pipe && !options.interactive) {
    HADAL_ASSIGN(std::string text, read_stdin(kPromptBytesMax));
    HADAL_ASSIGN(text, checked_utf8(std::move(text), "standard input"));
    text = without_final_line_end(std::move(text));
    if (!text.empty()) parts.push_back(std::move(text));
  }
  if (parts.empty()) return std::optional<std::string>();
  return std::optional(fmt::format("{}", fmt::join(parts, "\n\n")));
}

}  // namespace hadal::cli
