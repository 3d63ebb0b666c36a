#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "server/api/fields.h"
#include "server/api/responses.h"

namespace hadal::api {
namespace {

using json::Value;

std::string string_of(const Value& object, std::string_view key) {
  const Value* value = object.find(key);
  return value != nullptr && value->is_string() ? value->as_string() : "";
}

// input_text, output_text, text, refusal and reasoning_text parts, joined.
ApiResult<std::string> parts_text(const Value& content, const std::string& path) {
  if (content.is_null()) return std::string();
  if (content.is_string()) return content.as_string();
  if (!content.is_array()) return invalid_value(path, fmt::format("'{}' must be a string or an array", path));
  std::string text;
  for (size_t i = 0; i < content.items().size(); ++i) {
    const std::string type = string_of(content.items()[i], "type");
    static constexpr std::string_view kText[] = {"input_text", "output_text", "text", "reasoning_text", "summary_text"};
    if (type == "refusal") {
      text += string_of(content.items()[i], "refusal");
    } else if (std::ranges::find(kText, type) != std::end(kText)) {
      text += string_of(content.items()[i], "text");
    } else {
      return unsupported_parameter(
          fmt::format("{}[{}].type", path, i),
          fmt::format("'{}[{}].type' {} is not supported by this model", path, i, json::quote(json::excerpt(type))));
    }
  }
  return text;
}

// Items become messages: reasoning and calls belong to the assistant message they stand beside.
class ItemReader {
 public:
  explicit ItemReader(std::vector<Message>& messages) : messages_(messages) {}

  std::optional<ApiError> read(const Value& item, const std::string& path) {
    if (!item.is_object()) return invalid_value(path, fmt::format("'{}' must be an object", path));
    const std::string type = string_of(item, "type");
    if (type.empty() || type == "message") return read_message(item, path);
    if (type == "reasoning") return read_reasoning(item, path);
    if (type == "function_call" || type == "custom_tool_call") return read_call(item, path, type == "custom_tool_call");
    if (type == "function_call_output" || type == "custom_tool_call_output") return read_output(item, path);
    return unsupported_parameter(path + ".type",
                                 fmt::format("'{}.type' {} is not supported", path, json::quote(json::excerpt(type))));
  }

 private:
  Message& assistant() {
    if (messages_.empty() || messages_.back().role != Role::kAssistant)
      messages_.emplace_back().role = Role::kAssistant;
    return messages_.back();
  }

  std::optional<ApiError> read_message(const Value& item, const std::string& path) {
    const std::string role = string_of(item, "role");
    static const Value kNull;
    const Value* content = item.find("content");
    auto text = parts_text(content == nullptr ? kNull : *content, path + ".content");
    if (!text.ok()) return text.error();
    if (role == "assistant") {
      Message& message = assistant();
      if (!text->empty() && message.content.empty()) message.content.push_back({.type = "text", .text = ""});
      if (!text->empty()) message.content.front().text += *text;
      return std::nullopt;
    }
    if (role == "user") {
      messages_.push_back(user_message(*text));
    } else if (role == "system" || role == "developer") {
      messages_.push_back(system_message(*text));
    } else {
      return invalid_value(path + ".role", fmt::format("'{}.role' must be user, assistant, system or developer", path));
    }
    return std::nullopt;
  }

  std::optional<ApiError> read_reasoning(const Value& item, const std::string& path) {
    const Value* content = item.find("content");
    if (content == nullptr || content->is_null()) content = item.find("summary");
    if (content == nullptr) return std::nullopt;
    auto text = parts_text(*content, path + ".content");
    if (!text.ok()) return text.error();
    // It opens the turn that follows, not the one before it.
    if (!messages_.empty() && messages_.back().role == Role::kAssistant && !messages_.back().content.empty() &&
        messages_.back().tool_calls.empty()) {
      messages_.emplace_back().role = Role::kAssistant;
    }
    assistant().reasoning_content += *text;
    return std::nullopt;
  }

  std::optional<ApiError> read_call(const Value& item, const std::string& path, bool is_custom) {
    ToolCall call{.id = string_of(item, "call_id"), .name = string_of(item, "name"), .arguments = ""};
    if (call.id.empty()) return missing_parameter(path + ".call_id");
    if (call.name.empty()) return missing_parameter(path + ".name");
    if (const std::string space = string_of(item, "namespace"); !space.empty()) call.name = space + "." + call.name;
    call.arguments = is_custom ? json::dump(Value::object({{"input", Value::string(string_of(item, "input"))}}))
                               : string_of(item, "arguments");
    if (call.arguments.empty()) call.arguments = "{}";
    assistant().tool_calls.push_back(std::move(call));
    return std::nullopt;
  }

  std::optional<ApiError> read_output(const Value& item, const std::string& path) {
    static const Value kNull;
    const Value* output = item.find("output");
    auto text = parts_text(output == nullptr ? kNull : *output, path + ".output");
    if (!text.ok()) return text.error();
    if (string_of(item, "call_id").empty()) return missing_parameter(path + ".call_id");
    messages_.push_back(tool_message(string_of(item, "call_id"), *text));
    return std::nullopt;
  }

  std::vector<Message>& messages_;
};

Value function_tool(const std::string& name, const Value& tool) {
  Value function = Value::object();
  function.set("name", Value::string(name));
  for (const std::string_view key : {"description", "parameters", "strict"}) {
    if (const Value* value = tool.find(key); value != nullptr && !value->is_null()) function.set(key, *value);
  }
  return Value::object({{"type", Value::string("function")}, {"function", std::move(function)}});
}

Value custom_tool(const std::string& name, const Value& tool) {
  Value input = Value::object({{"type", Value::string("string")}});
  Value parameters = Value::object();
  parameters.set("type", Value::string("object"))
      .set("properties", Value::object({{"input", std::move(input)}}))
      .set("required", Value::array({Value::string("input")}));
  Value function = Value::object();
  function.set("name", Value::string(name));
  if (const Value* description = tool.find("description")) function.set("description", *description);
  function.set("parameters", std::move(parameters));
  return Value::object({{"type", Value::string("function")}, {"function", std::move(function)}});
}

std::optional<ApiError> read_tools(const Fields& fields, ResponsesRequest& request) {
  auto list = fields.array("tools");
  if (!list.ok()) return list.error();
  Value tools = Value::array();
  const auto add = [&](const Value& tool, const std::string& space) {
    const std::string own = string_of(tool, "name");
    const std::string name = space.empty() ? own : space + "." + own;
    const bool is_custom = string_of(tool, "type") == "custom";
    request.tools[name] = {.name = own, .tool_namespace = space, .is_custom = is_custom};
    tools.push(is_custom ? custom_tool(name, tool) : function_tool(name, tool));
  };
  for (size_t i = 0; *list != nullptr && i < (*list)->items().size(); ++i) {
    const Value& tool = (*list)->items()[i];
    const std::string type = string_of(tool, "type");
    if (type == "function" || type == "custom") {
      add(tool, "");
    } else if (const Value* members = tool.find("tools"); type == "namespace" && members != nullptr) {
      for (const Value& member : members->items()) add(member, string_of(tool, "name"));
    }
    // Hosted tools (web_search, ...) are left out: agents offer them always and go on without.
  }
  if (!tools.items().empty()) request.answer.tools = std::move(tools);
  return check_tools(request.answer.tools);
}

std::optional<ApiError> read_tool_choice(const Fields& fields, AnswerRequest& request) {
  const Value* choice = fields.find("tool_choice");
  if (choice == nullptr) return std::nullopt;
  using Kind = ToolChoice::Kind;
  if (choice->is_string()) {
    if (choice->as_string() == "auto") return std::nullopt;
    if (choice->as_string() == "none") return request.tool_choice.kind = Kind::kNone, std::nullopt;
    if (choice->as_string() == "required") return request.tool_choice.kind = Kind::kRequired, std::nullopt;
  } else if (has_tool(request.tools, string_of(*choice, "name"))) {
    request.tool_choice = {.kind = Kind::kNamed, .name = string_of(*choice, "name"), .allowed = {}};
    return std::nullopt;
  }
  return invalid_value("tool_choice", "'tool_choice' must be none, auto, required or name a tool of 'tools'");
}

std::optional<ApiError> read_format(const Fields& fields, AnswerRequest& request) {
  auto text = fields.object("text");
  if (!text.ok()) return text.error();
  if (*text == nullptr) return std::nullopt;
  auto format = Fields(**text, "text.").object("format");
  if (!format.ok()) return format.error();
  if (*format == nullptr || string_of(**format, "type") == "text") return std::nullopt;
  const std::string type = string_of(**format, "type");
  if (type == "json_object") {
    request.response_format.kind = ResponseFormat::Kind::kJsonObject;
    return std::nullopt;
  }
  const Value* schema = (*format)->find("schema");
  if (type != "json_schema" || schema == nullptr || !schema->is_object()) {
    return invalid_value("text.format", "'text.format' must be text, json_object or a json_schema with a schema");
  }
  const Value* strict = (*format)->find("strict");
  request.response_format = {
      .kind = ResponseFormat::Kind::kJsonSchema, .schema = *schema, .strict = strict != nullptr && strict->as_bool()};
  return std::nullopt;
}

std::optional<ApiError> read_input(const Fields& fields, ResponsesRequest& request) {
  const Value* input = fields.find("input");
  if (input == nullptr) return missing_parameter("input");
  if (input->is_string()) {
    request.answer.messages.push_back(user_message(input->as_string()));
    Value item = Value::object();
    item.set("type", Value::string("message")).set("role", Value::string("user")).set("content", *input);
    request.input_items = Value::array({std::move(item)});
    return std::nullopt;
  }
  if (!input->is_array()) return fields.wrong_kind("input", "a string or an array of items");
  ItemReader reader(request.answer.messages);
  for (size_t i = 0; i < input->items().size(); ++i) {
    if (auto error = reader.read(input->items()[i], fmt::format("input[{}]", i))) return error;
  }
  request.input_items = *input;
  return std::nullopt;
}

std::optional<ApiError> check_refused(const Fields& fields) {
  for (const std::string_view name : {"conversation", "prompt", "context_management"}) {
    if (fields.has(name)) {
      return unsupported_parameter(std::string(name), fmt::format("'{}' is not supported by this server", name));
    }
  }
  auto background = fields.boolean("background");
  if (!background.ok()) return background.error();
  if (background->value_or(false)) {
    return unsupported_parameter("background", "'background' responses are not supported by this server");
  }
  return std::nullopt;
}

// What the envelope repeats.
Value echo(const Fields& fields, const AnswerRequest& request) {
  const auto or_else = [&](std::string_view name, Value other) {
    const Value* value = fields.find(name);
    return value == nullptr ? std::move(other) : *value;
  };
  Value format = Value::object({{"format", Value::object({{"type", Value::string("text")}})}});
  Value effort = Value::object({{"effort", Value()}, {"summary", Value()}});
  Value all = Value::object();
  all.set("instructions", or_else("instructions", Value()))
      .set("max_output_tokens", or_else("max_output_tokens", Value()))
      .set("parallel_tool_calls", Value::boolean(request.parallel_tool_calls))
      .set("previous_response_id", or_else("previous_response_id", Value()))
      .set("reasoning", or_else("reasoning", std::move(effort)))
      .set("store", or_else("store", Value::boolean(true)))
      .set("temperature", Value::number(request.sampling.temperature))
      .set("text", or_else("text", std::move(format)))
      .set("tool_choice", or_else("tool_choice", Value::string("auto")))
      .set("tools", or_else("tools", Value::array()))
      .set("top_p", Value::number(request.sampling.top_p))
      .set("truncation", or_else("truncation", Value::string("disabled")))
      .set("user", or_else("user", Value()))
      .set("metadata", or_else("metadata", Value::object()));
  return all;
}

}  // namespace

ApiResult<ResponsesRequest> parse_responses(const Value& body, const RequestDefaults& defaults) {
  const Fields fields(body);
  ResponsesRequest request;
  AnswerRequest& answer = request.answer;
  HADAL_API_ASSIGN(const std::optional<std::string> model, fields.string("model"));
  answer.model = model.value_or("");
  if (auto error = check_refused(fields)) return *error;
  if (auto error = read_input(fields, request)) return *error;
  HADAL_API_ASSIGN(const std::optional<std::string> instructions, fields.string("instructions"));
  request.instructions = instructions.value_or("");
  HADAL_API_ASSIGN(request.previous_response_id, fields.string("previous_response_id"));
  HADAL_API_ASSIGN(const std::optional<bool> store, fields.boolean("store"));
  request.store = store.value_or(true);
  if (auto error = read_tools(fields, request)) return *error;
  if (auto error = read_tool_choice(fields, answer)) return *error;
  HADAL_API_ASSIGN(const std::optional<bool> parallel, fields.boolean("parallel_tool_calls"));
  answer.parallel_tool_calls = parallel.value_or(true);
  if (auto error = read_format(fields, answer)) return *error;
  HADAL_API_ASSIGN(const Value* reasoning, fields.object("reasoning"));
  const Value* effort = reasoning == nullptr ? nullptr : Fields(*reasoning).find("effort");
  if (effort != nullptr) {
    if (auto error = read_effort(*effort, "reasoning.effort", answer)) return *error;
  }
  HADAL_API_ASSIGN(const Value* include, fields.array("include"));
  for (size_t i = 0; include != nullptr && i < include->items().size(); ++i) {
    const std::string& name = include->items()[i].as_string();
    if (name == "reasoning.encrypted_content") request.includes_encrypted_reasoning = true;
    if (name == "message.output_text.logprobs") answer.sampling.logprobs = 0;
  }
  const std::optional<int> wants_logprobs = answer.sampling.logprobs;
  if (auto error = read_sampling(fields, defaults, answer)) return *error;
  HADAL_API_ASSIGN(const std::optional<int64_t> top, fields.integer("top_logprobs", 0, kTopLogprobsMax));
  if (wants_logprobs || top) answer.sampling.logprobs = static_cast<int>(top.value_or(0));
  HADAL_API_ASSIGN(const std::optional<int64_t> limit,
                   fields.integer("max_output_tokens", 1, std::numeric_limits<int32_t>::max()));
  answer.max_tokens = limit.value_or(-1);
  answer.include_usage = true;
  request.echoed = echo(fields, answer);
  return request;
}

}  // namespace hadal::api
