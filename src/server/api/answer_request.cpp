#include "server/api/answer_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "server/api/fields.h"

namespace hadal::api {
namespace {

using json::Value;
constexpr size_t kToolsMax = 1024;
constexpr size_t kStopsMax = 16;

std::optional<ApiError> read_logit_bias(const Fields& fields, const RequestDefaults& defaults, AnswerRequest& request) {
  auto bias = fields.object("logit_bias");
  if (!bias.ok()) return bias.error();
  if (*bias == nullptr) return std::nullopt;
  if ((*bias)->members().size() > kLogitBiasEntriesMax) {
    return invalid_value("logit_bias", fmt::format("'logit_bias' may hold at most {} tokens", kLogitBiasEntriesMax));
  }
  for (const auto& [key, value] : (*bias)->members()) {
    TokenId token = -1;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), token);
    const bool is_token =
        parsed.ec == std::errc() && parsed.ptr == key.data() + key.size() && token >= 0 && token < defaults.vocab_size;
    if (!is_token) {
      return invalid_value("logit_bias", fmt::format("'logit_bias' has a key that is no token id below {}: {}",
                                                     defaults.vocab_size, json::excerpt(key)));
    }
    const std::optional<double> number = value.is_number() ? value.as_double() : std::nullopt;
    if (!number || std::abs(*number) > kLogitBiasMax) {
      return invalid_value("logit_bias", "values of 'logit_bias' must be numbers from -100 to 100");
    }
    request.sampling.logit_bias[token] = static_cast<float>(*number);
  }
  return std::nullopt;
}

template <class Target, class Number>
std::optional<ApiError> take(ApiResult<std::optional<Number>> read, Target& target) {
  if (!read.ok()) return read.error();
  if (*read) target = static_cast<Target>(**read);
  return std::nullopt;
}

std::vector<std::string> missing_results(const std::set<std::string>& open) {
  return {open.begin(), open.end()};
}

}  // namespace

std::optional<ApiError> read_sampling(const Fields& fields, const RequestDefaults& defaults, AnswerRequest& request) {
  SamplingOptions& s = request.sampling;
  s = defaults.sampling;
  if (auto e = take(fields.number("temperature", 0, kTemperatureMax), s.temperature)) return e;
  if (auto e = take(fields.number("top_p", 0, 1), s.top_p)) return e;
  if (auto e = take(fields.number("min_p", 0, 1), s.min_p)) return e;
  if (auto e = take(fields.integer("top_k", -1, defaults.vocab_size), s.top_k)) return e;
  s.top_k = std::max<int64_t>(s.top_k, 0);
  const double repetition_max = kRepetitionPenaltyMax;
  if (auto e = take(fields.number("repetition_penalty", kRepetitionPenaltyMin, repetition_max), s.repetition_penalty)) {
    return e;
  }
  const double occurrence_max = kOccurrencePenaltyMax;
  if (auto e = take(fields.number("presence_penalty", -occurrence_max, occurrence_max), s.presence_penalty)) return e;
  if (auto e = take(fields.number("frequency_penalty", -occurrence_max, occurrence_max), s.frequency_penalty)) return e;
  if (auto e = read_logit_bias(fields, defaults, request)) return e;

  if (const Value* seed = fields.find("seed")) {
    // Any 64-bit integer, exactly: the text of the number is kept.
    const std::string& text = seed->number_as_text();
    const char* const end = text.data() + text.size();
    int64_t negative = 0;
    if (!seed->is_number()) return fields.wrong_kind("seed", "an integer");
    if (const auto whole = std::from_chars(text.data(), end, s.seed); whole.ec != std::errc() || whole.ptr != end) {
      const auto below = std::from_chars(text.data(), end, negative);
      if (below.ec != std::errc() || below.ptr != end) {
        return invalid_value("seed", "'seed' must be an integer of 64 bits");
      }
      s.seed = static_cast<uint64_t>(negative);
    }
    request.has_seed = true;
  }
  auto stop = fields.strings("stop", kStopsMax);
  if (!stop.ok()) return stop.error();
  request.stop = *stop;
  std::erase(request.stop, std::string());
  return take(fields.boolean("stream"), request.stream);
}

std::optional<ApiError> read_effort(const Value& effort, const std::string& param, AnswerRequest& request) {
  if (effort.is_number()) {
    const std::optional<int64_t> level = effort.as_int();
    if (!level || *level < 1 || *level > kEffortLevelMax) {
      return invalid_value(param,
                           fmt::format("'{}' must be a name or an integer from 1 to {}", param, kEffortLevelMax));
    }
    request.effort_level = static_cast<int>(*level);
    request.thinking = true;
    return std::nullopt;
  }
  static const std::vector<std::pair<std::string_view, ReasoningEffort>> kNames = {
      {"minimal", ReasoningEffort::kLow}, {"low", ReasoningEffort::kLow},    {"medium", ReasoningEffort::kHigh},
      {"high", ReasoningEffort::kHigh},   {"xhigh", ReasoningEffort::kHigh}, {"max", ReasoningEffort::kMax},
      {"ultra", ReasoningEffort::kMax}};
  if (effort.is_string() && effort.as_string() == "none") {
    request.thinking = false;
    return std::nullopt;
  }
  for (const auto& [name, value] : kNames) {
    if (!effort.is_string() || effort.as_string() != name) continue;
    request.effort = value;
    if (!request.thinking) request.thinking = true;
    return std::nullopt;
  }
  if (!effort.is_string()) {
    return invalid_value(param, fmt::format("'{}' must be none, minimal, low, medium, high, xhigh or max", param));
  }
  // A name of another vendor's: agents send those, and the model's own effort is better than no answer.
  return std::nullopt;
}

std::optional<ApiError> check_tool_results(const std::vector<Message>& messages, const std::string& param) {
  std::set<std::string> open;      // ids of calls without a result
  std::set<std::string> answered;  // of the same assistant message
  size_t asked_at = 0;
  const auto not_answered = [&] {
    return invalid_value(fmt::format("{}[{}].tool_calls", param, asked_at),
                         fmt::format("the tool calls of {}[{}] must be followed by their results; missing: {}", param,
                                     asked_at, fmt::join(missing_results(open), ", ")));
  };
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (message.role == Role::kTool) {
      const std::string& id = message.tool_call_id;
      if (open.erase(id) > 0) {
        answered.insert(id);
        continue;
      }
      return invalid_value(fmt::format("{}[{}].tool_call_id", param, i),
                           fmt::format("{}[{}].tool_call_id {} answers no call of the assistant message before it",
                                       param, i, json::quote(json::excerpt(id))));
    }
    if (!open.empty()) return not_answered();
    if (message.role != Role::kAssistant) continue;
    answered.clear();
    asked_at = i;
    for (const ToolCall& call : message.tool_calls) open.insert(call.id);
  }
  // A conversation that ends in calls without results cannot be gone on with.
  if (!open.empty()) return not_answered();
  return std::nullopt;
}

void join_system_messages(std::vector<Message>& messages) {
  const auto is_system = [](const Message& m) { return m.role == Role::kSystem || m.role == Role::kDeveloper; };
  if (messages.empty() || !is_system(messages.front())) return;
  Message& first = messages.front();
  first.role = Role::kSystem;
  std::string text;
  for (const ContentPart& part : first.content) text += part.text;
  while (messages.size() > 1 && is_system(messages[1])) {
    text += "\n";
    for (const ContentPart& part : messages[1].content) text += part.text;
    messages.erase(messages.begin() + 1);
  }
  first.content.clear();
  if (!text.empty()) first.content.push_back({.type = "text", .text = std::move(text)});
}

std::optional<ApiError> check_tools(const Value& tools) {
  if (tools.is_null()) return std::nullopt;
  if (!tools.is_array()) return invalid_value("tools", "'tools' must be an array");
  if (tools.items().size() > kToolsMax) {
    return invalid_value("tools", fmt::format("'tools' may hold at most {} tools", kToolsMax));
  }
  std::set<std::string> names;
  for (size_t i = 0; i < tools.items().size(); ++i) {
    const Value& tool = tools.items()[i];
    const std::string path = fmt::format("tools[{}]", i);
    if (!tool.is_object()) return invalid_value(path, fmt::format("'{}' must be an object", path));
    const Value* type = tool.find("type");
    if (type != nullptr && type->is_string() && type->as_string() != "function") {
      return unsupported_parameter(path + ".type", fmt::format("tools of type {} are not supported; 'function' is",
                                                               json::quote(json::excerpt(type->as_string()))));
    }
    const Value* function = tool.find("function");
    const Value* name = function == nullptr ? nullptr : function->find("name");
    if (name == nullptr || !name->is_string() || name->as_string().empty()) {
      return invalid_value(path + ".function.name", fmt::format("'{}.function.name' must be a string", path));
    }
    if (!names.insert(name->as_string()).second) {
      return invalid_value(path + ".function.name", fmt::format("'{}.function.name' names a tool twice: {}", path,
                                                                json::excerpt(name->as_string())));
    }
    const Value* parameters = function->find("parameters");
    if (parameters != nullptr && !parameters->is_object() && !parameters->is_null()) {
      return invalid_value(path + ".function.parameters",
                           fmt::format("'{}.function.parameters' must be an object", path));
    }
  }
  return std::nullopt;
}

bool has_tool(const Value& tools, std::string_view name) {
  return std::any_of(tools.items().begin(), tools.items().end(), [&](const Value& tool) {
    const Value* function = tool.find("function");
    const Value* found = function == nullptr ? nullptr : function->find("name");
    return found != nullptr && found->is_string() && found->as_string() == name;
  });
}

}  // namespace hadal::api
