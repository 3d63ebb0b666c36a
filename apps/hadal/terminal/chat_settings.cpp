#include "terminal/chat_settings.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "base/json.h"
#include "sampling/stop_matcher.h"

namespace hadal {
namespace {

Error not_a_number(std::string_view name, std::string_view want, std::string_view found) {
  return {.code = ErrorCode::kInvalid,
          .what = "value cannot be read",
          .in = std::string(name),
          .want = std::string(want),
          .found = fmt::format("\"{}\"", found),
          .hint = ""};
}

template <class Number>
Result<Number> parse_number(std::string_view name, std::string_view want, std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return not_a_number(name, want, text);
  return value;
}

// A setting is read by `set` and shown by `get`; `keep` copies it from another object.
struct Setting {
  std::string_view name;
  std::string_view help;
  Result<void> (*set)(ChatSettings&, std::string_view name, std::string_view text);
  std::string (*get)(const ChatSettings&);
  void (*keep)(ChatSettings&, const ChatSettings& from);
};

template <double SamplingOptions::*kField>
constexpr Setting real(std::string_view name, std::string_view help) {
  return {name, help,
          [](ChatSettings& settings, std::string_view setting, std::string_view text) -> Result<void> {
            HADAL_ASSIGN(settings.sampling.*kField, parse_number<double>(setting, "a number", text));
            return {};
          },
          [](const ChatSettings& settings) { return fmt::format("{}", settings.sampling.*kField); },
          [](ChatSettings& settings, const ChatSettings& from) { settings.sampling.*kField = from.sampling.*kField; }};
}

template <int64_t SamplingOptions::*kField>
constexpr Setting integer(std::string_view name, std::string_view help) {
  return {name, help,
          [](ChatSettings& settings, std::string_view setting, std::string_view text) -> Result<void> {
            HADAL_ASSIGN(settings.sampling.*kField, parse_number<int64_t>(setting, "an integer", text));
            return {};
          },
          [](const ChatSettings& settings) { return fmt::format("{}", settings.sampling.*kField); },
          [](ChatSettings& settings, const ChatSettings& from) { settings.sampling.*kField = from.sampling.*kField; }};
}

Result<void> set_seed(ChatSettings& settings, std::string_view name, std::string_view text) {
  HADAL_ASSIGN(settings.seed, parse_number<uint64_t>(name, "an integer from 0 to 2^64 - 1", text));
  return {};
}

Result<void> set_max_tokens(ChatSettings& settings, std::string_view name, std::string_view text) {
  HADAL_ASSIGN(const int64_t value, parse_number<int64_t>(name, "an integer", text));
  if (value == 0 || value < -1) return not_a_number(name, "at least 1, or -1 for no limit", text);
  settings.max_tokens = value;
  return {};
}

// A JSON array of strings, a JSON string (for line feeds: "\n"), or the text as it is.
Result<void> set_stop(ChatSettings& settings, std::string_view name, std::string_view text) {
  std::vector<std::string> stops;
  const bool is_json = text.starts_with('[') || text.starts_with('"');
  if (is_json) {
    HADAL_ASSIGN(const json::Value value, json::parse(text, name));
    const json::Array items = value.is_array() ? value.items() : json::Array{value};
    for (const json::Value& item : items) {
      if (!item.is_string()) return not_a_number(name, "strings", text);
      stops.push_back(item.as_string());
    }
  } else if (!text.empty()) {
    stops.emplace_back(text);
  }
  HADAL_TRY(StopMatcher::create(stops));
  settings.stop = std::move(stops);
  return {};
}

std::string show_stop(const ChatSettings& settings) {
  json::Array items;
  for (const std::string& stop : settings.stop) items.push_back(json::Value::string(stop));
  return json::dump(json::Value::array(std::move(items)));
}

// clang-format off
constexpr std::array<Setting, 11> kSettings = {{
    real<&SamplingOptions::temperature>("temperature", "0 is greedy, 1 the model's own distribution, up to 2"),
    integer<&SamplingOptions::top_k>("top_k", "only the k best tokens; 0 is off"),
    real<&SamplingOptions::top_p>("top_p", "only the best tokens that hold this share of the probability; 1 is off"),
    real<&SamplingOptions::min_p>("min_p", "only tokens at least this probable relative to the best; 0 is off"),
    real<&SamplingOptions::repetition_penalty>("repetition_penalty", "above 1 against repeating; 1 is off"),
    integer<&SamplingOptions::repetition_window>("repetition_window", "how many last tokens it looks at; -1 is all"),
    real<&SamplingOptions::presence_penalty>("presence_penalty", "against tokens that the answer has; 0 is off"),
    real<&SamplingOptions::frequency_penalty>("frequency_penalty", "the same for each occurrence; 0 is off"),
    {"seed", "the same seed gives the same answer", set_seed,
     [](const ChatSettings& s) { return s.seed ? fmt::format("{}", *s.seed) : std::string("random"); },
     [](ChatSettings& s, const ChatSettings& from) { s.seed = from.seed; }},
    {"max_tokens", "the longest answer; -1 is no limit", set_max_tokens,
     [](const ChatSettings& s) { return fmt::format("{}", s.max_tokens); },
     [](ChatSettings& s, const ChatSettings& from) { s.max_tokens = from.max_tokens; }},
    {"stop", "the answer ends before this text; \"...\" or [\"...\", ...] may hold \\n", set_stop, show_stop,
     [](ChatSettings& s, const ChatSettings& from) { s.stop = from.stop; }},
}};
// clang-format on

}  // namespace

Result<void> apply_setting(ChatSettings& settings, std::string_view name, std::string_view value,
                           const ChatSettings& defaults, int64_t vocab_size) {
  for (const Setting& setting : kSettings) {
    if (setting.name != name) continue;
    ChatSettings changed = settings;
    if (value == "default") {
      setting.keep(changed, defaults);
    } else {
      HADAL_TRY(setting.set(changed, name, value));
      HADAL_TRY(check(changed.sampling, vocab_size));
    }
    settings = std::move(changed);
    return {};
  }
  return Error{.code = ErrorCode::kNotFound,
               .what = "no such setting",
               .in = fmt::format("/set {}", name),
               .want = fmt::format("{}", fmt::join(setting_names(), ", ")),
               .found = std::string(name),
               .hint = ""};
}

std::vector<std::string_view> setting_names() {
  std::vector<std::string_view> names;
  for (const Setting& setting : kSettings) names.push_back(setting.name);
  return names;
}

std::string describe_settings(const ChatSettings& settings) {
  std::string text;
  for (const Setting& setting : kSettings) {
    text += fmt::format("  {:<19} {:<8} {}\n", setting.name, setting.get(settings), setting.help);
  }
  return text;
}

}  // namespace hadal
