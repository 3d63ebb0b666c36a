#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "server/api/fields.h"
#include "server/api/messages.h"

namespace hadal::api {
namespace {

using json::Value;

// Claude Code puts a line that changes between conversations in front of everything; it would make every one cold.
constexpr std::string_view kBillingHeader = "x-anthropic-billing-header:";

std::string string_of(const Value& object, std::string_view key) {
  const Value* value = object.find(key);
  return value != nullptr && value->is_string() ? value->as_string() : "";
}

// A string, or text blocks joined.
ApiResult<std::string> block_text(const Value& content, const std::string& path, std::string_view separator) {
  if (content.is_null()) return std::string();
  if (content.is_string()) return content.as_string();
  if (!content.is_array()) return invalid_value(path, fmt::format("{}: must be a string or an array of blocks", path));
  std::string text;
  bool is_first = true;
  for (size_t i = 0; i < content.items().size(); ++i) {
    const Value& block = content.items()[i];
    const std::string type = string_of(block, "type");
    if (type == "tool_reference") continue;
    if (type != "text") {
      return unsupported_parameter(fmt::format("{}.{}", path, i),
                                   fmt::format("{}.{}: blocks of type {} are not supported by this model", path, i,
                                               json::quote(json::excerpt(type))));
    }
    const std::string part = string_of(block, "text");
    if (part.starts_with(kBillingHeader)) continue;
    if (!is_first) text += separator;
    text += part;
    is_first = false;
  }
  return text;
}

void append_text(Message& message, std::string_view text) {
  if (text.empty()) return;
  if (message.content.empty()) message.content.push_back({.type = "text", .text = ""});
  message.content.front().text += text;
}

// The blocks of one message become one or more of ours: tool results are messages of their own.
std::optional<ApiError> read_blocks(const Value& content, const std::string& path, Role role,
                                    std::vector<Message>& messages) {
  const auto current = [&]() -> Message& {
    if (messages.empty() || messages.back().role != role) messages.emplace_back().role = role;
    return messages.back();
  };
  if (content.is_string()) return append_text(current(), content.as_string()), std::nullopt;
  if (!content.is_array()) return invalid_value(path, fmt::format("{}: must be a string or an array of blocks", path));
  if (content.items().empty()) current();
  for (size_t i = 0; i < content.items().size(); ++i) {
    const Value& block = content.items()[i];
    const std::string at = fmt::format("{}.{}", path, i);
    const std::string type = string_of(block, "type");
    if (type == "text") {
      append_text(current(), string_of(block, "text"));
    } else if (type == "thinking" && role == Role::kAssistant) {
      current().reasoning_content += string_of(block, "thinking");
    } else if (type == "redacted_thinking" && role == Role::kAssistant) {
      continue;
    } else if (type == "tool_use" && role == Role::kAssistant) {
      const Value* input = block.find("input");
      if (string_of(block, "id").empty()) return missing_parameter(at + ".id");
      if (string_of(block, "name").empty()) return missing_parameter(at + ".name");
      if (input == nullptr || !input->is_object())
        return invalid_value(at + ".input", at + ".input: must be an object");
      current().tool_calls.push_back(
          {.id = string_of(block, "id"), .name = string_of(block, "name"), .arguments = json::dump(*input)});
    } else if (type == "tool_result" && role == Role::kUser) {
      static const Value kNull;
      const Value* result = block.find("content");
      auto text = block_text(result == nullptr ? kNull : *result, at + ".content", "\n");
      if (!text.ok()) return text.error();
      const Value* is_error = block.find("is_error");
      const bool failed = is_error != nullptr && is_error->as_bool();
      messages.push_back(tool_message(string_of(block, "tool_use_id"), (failed ? "Error: " : "") + *text));
    } else {
      return unsupported_parameter(at, fmt::format("{}: a block of type {} is not supported in a message of role {}",
                                                   at, json::quote(json::excerpt(type)), role_name(role)));
    }
  }
  return std::nullopt;
}

std::optional<ApiError> read_messages(const Fields& fields, AnswerRequest& request) {
  auto list = fields.array("messages");
  if (!list.ok()) return list.error();
  if (*list == nullptr) return missing_parameter("messages");
  if ((*list)->items().empty()) return invalid_value("messages", "messages: at least one message is required");
  if (const Value* system = fields.find("system")) {
    auto text = block_text(*system, "system", "\n");
    if (!text.ok()) return text.error();
    if (!text->empty()) request.messages.push_back(system_message(*text));
  }
  for (size_t i = 0; i < (*list)->items().size(); ++i) {
    const Value& message = (*list)->items()[i];
    const std::string path = fmt::format("messages.{}", i);
    const std::string role = string_of(message, "role");
    const Value* content = message.find("content");
    if (content == nullptr) return missing_parameter(path + ".content");
    if (role == "system") {
      auto text = block_text(*content, path + ".content", "\n");
      if (!text.ok()) return text.error();
      const bool is_front = request.messages.size() == 1 && request.messages[0].role == Role::kSystem;
      if (is_front) {
        append_text(request.messages[0], "\n" + *text);
      } else {
        request.messages.push_back(system_message(*text));
      }
      continue;
    }
    if (role != "user" && role != "assistant") {
      return invalid_value(path + ".role", fmt::format("{}.role: must be user, assistant or system", path));
    }
    if (auto error = read_blocks(*content, path + ".content", role == "user" ? Role::kUser : Role::kAssistant,
                                 request.messages)) {
      return error;
    }
  }
  // An assistant message at the end is the beginning of the answer.
  if (request.messages.back().role == Role::kAssistant && request.messages.back().tool_calls.empty()) {
    request.messages.back().wo_eos = true;
  }
  return check_tool_results(request.messages, "messages");
}

std::optional<ApiError> read_tools(const Fields& fields, AnswerRequest& request) {
  auto list = fields.array("tools");
  if (!list.ok()) return list.error();
  if (*list == nullptr || (*list)->items().empty()) return std::nullopt;
  Value tools = Value::array();
  for (size_t i = 0; i < (*list)->items().size(); ++i) {
    const Value& tool = (*list)->items()[i];
    const std::string path = fmt::format("tools.{}", i);
    const std::string type = string_of(tool, "type");
    if (!type.empty() && type != "custom") {
      return unsupported_parameter(path + ".type", fmt::format("{}.type: server tools such as {} are not supported",
                                                               path, json::quote(json::excerpt(type))));
    }
    const Value* deferred = tool.find("defer_loading");
    if (deferred != nullptr && deferred->as_bool()) continue;
    const Value* schema = tool.find("input_schema");
    if (schema == nullptr || !schema->is_object()) return missing_parameter(path + ".input_schema");
    Value function = Value::object();
    function.set("name", Value::string(string_of(tool, "name")));
    if (const Value* description = tool.find("description")) function.set("description", *description);
    function.set("parameters", *schema);
    if (const Value* strict = tool.find("strict"); strict != nullptr && strict->is_bool())
      function.set("strict", *strict);
    tools.push(Value::object({{"type", Value::string("function")}, {"function", std::move(function)}}));
  }
  if (!tools.items().empty()) request.tools = std::move(tools);
  return check_tools(request.tools);
}

std::optional<ApiError> read_tool_choice(const Fields& fields, AnswerRequest& request) {
  auto choice = fields.object("tool_choice");
  if (!choice.ok()) return choice.error();
  if (*choice == nullptr) return std::nullopt;
  using Kind = ToolChoice::Kind;
  const std::string type = string_of(**choice, "type");
  if (type == "none") {
    request.tool_choice.kind = Kind::kNone;
  } else if (type == "any") {
    request.tool_choice.kind = Kind::kRequired;
  } else if (type == "tool") {
    const std::string name = string_of(**choice, "name");
    if (!has_tool(request.tools, name)) {
      return invalid_value("tool_choice.name",
                           fmt::format("tool_choice.name: no tool is called {}", json::quote(json::excerpt(name))));
    }
    request.tool_choice = {.kind = Kind::kNamed, .name = name, .allowed = {}};
  } else if (type != "auto") {
    return invalid_value("tool_choice.type", "tool_choice.type: must be auto, any, tool or none");
  }
  const Value* single = (*choice)->find("disable_parallel_tool_use");
  request.parallel_tool_calls = single == nullptr || !single->as_bool();
  return std::nullopt;
}

std::optional<ApiError> read_thinking(const Fields& fields, AnswerRequest& request) {
  request.thinking = false;  // Anthropic's rule: absent means off
  auto thinking = fields.object("thinking");
  if (!thinking.ok()) return thinking.error();
  if (*thinking != nullptr) {
    const std::string type = string_of(**thinking, "type");
    if (type != "enabled" && type != "adaptive" && type != "between_tools" && type != "disabled") {
      return invalid_value("thinking.type", "thinking.type: must be enabled, adaptive or disabled");
    }
    request.thinking = type != "disabled";
    auto budget = Fields(**thinking, "thinking.").integer("budget_tokens", 1, std::numeric_limits<int32_t>::max());
    if (!budget.ok()) return budget.error();
    if (*budget && type == "enabled") request.reasoning_tokens_max = **budget;
  }
  auto config = fields.object("output_config");
  if (!config.ok()) return config.error();
  if (*config == nullptr) return std::nullopt;
  const Fields inner(**config, "output_config.");
  const bool is_on = *request.thinking;
  if (const Value* effort = inner.find("effort")) {
    if (auto error = read_effort(*effort, "output_config.effort", request)) return error;
    request.thinking = is_on;
    if (!is_on) request.effort = ReasoningEffort::kNone, request.effort_level = 0;
  }
  auto format = inner.object("format");
  if (!format.ok()) return format.error();
  if (*format == nullptr) return std::nullopt;
  const Value* schema = (*format)->find("schema");
  if (string_of(**format, "type") != "json_schema" || schema == nullptr) {
    return invalid_value("output_config.format", "output_config.format: must be a json_schema with a schema");
  }
  request.response_format = {.kind = ResponseFormat::Kind::kJsonSchema, .schema = *schema, .strict = true};
  return std::nullopt;
}

}  // namespace

ApiResult<AnswerRequest> parse_messages(const Value& body, const RequestDefaults& defaults, bool counts) {
  const Fields fields(body);
  AnswerRequest request;
  HADAL_API_ASSIGN(const std::optional<std::string> model, fields.string("model"));
  request.model = model.value_or("");
  if (const Value* servers = fields.find("mcp_servers"); servers != nullptr && !servers->items().empty()) {
    return unsupported_parameter("mcp_servers", "mcp_servers: this server does not call other servers");
  }
  HADAL_API_ASSIGN(const std::optional<int64_t> limit,
                   fields.integer("max_tokens", 1, std::numeric_limits<int32_t>::max()));
  if (!limit && !counts) return missing_parameter("max_tokens");
  if (auto error = read_messages(fields, request)) return *error;
  if (auto error = read_tools(fields, request)) return *error;
  if (auto error = read_tool_choice(fields, request)) return *error;
  if (auto error = read_thinking(fields, request)) return *error;
  if (auto error = read_sampling(fields, defaults, request)) return *error;
  HADAL_API_ASSIGN(request.stop, fields.strings("stop_sequences", 16));
  std::erase(request.stop, std::string());
  request.max_tokens = limit.value_or(-1);
  request.include_usage = true;
  return request;
}

}  // namespace hadal::api
