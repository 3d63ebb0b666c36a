// Messages from and to OpenAI's chat form. Everything here comes from a client: each field's kind is checked, and an
// error names the field by its JSON path.
#include <fmt/format.h>

#include "prompt/message.h"

namespace hadal {
namespace {

using json::Value;

Error wrong_kind(std::string_view path, std::string_view want, const Value* found) {
  return Error{.code = ErrorCode::kInvalid,
               .what = "message has a field of the wrong kind",
               .in = std::string(path),
               .want = std::string(want),
               .found = found ? std::string(json::kind_name(found->kind())) : "nothing",
               .hint = ""};
}

// The member, or null when it is missing or JSON's null: clients send both for "none".
const Value* find_set(const Value& object, std::string_view key) {
  const Value* value = object.find(key);
  return value && !value->is_null() ? value : nullptr;
}

Result<std::string> optional_string(const Value& object, std::string_view key, std::string_view path) {
  const Value* value = find_set(object, key);
  if (!value) return std::string();
  if (!value->is_string()) return wrong_kind(path, "a string", value);
  return value->as_string();
}

Result<ContentPart> parse_part(const Value& value, const std::string& path) {
  if (!value.is_object()) return wrong_kind(path, "an object", &value);
  const Value* type = value.find("type");
  if (!type || !type->is_string()) return wrong_kind(path + ".type", "a string", type);
  ContentPart part{.type = type->as_string(), .text = ""};
  if (part.type != "text") return part;
  const Value* text = value.find("text");
  if (!text || !text->is_string()) return wrong_kind(path + ".text", "a string", text);
  part.text = text->as_string();
  return part;
}

Result<std::vector<ContentPart>> parse_content(const Value* value) {
  std::vector<ContentPart> parts;
  if (!value) return parts;
  if (value->is_string()) {
    if (!value->as_string().empty()) parts.push_back({.type = "text", .text = value->as_string()});
    return parts;
  }
  if (!value->is_array()) return wrong_kind("content", "a string, an array of parts or null", value);
  for (size_t i = 0; i < value->items().size(); ++i) {
    HADAL_ASSIGN(ContentPart part, parse_part(value->items()[i], fmt::format("content[{}]", i)));
    parts.push_back(std::move(part));
  }
  return parts;
}

Result<ToolCall> parse_tool_call(const Value& value, const std::string& path) {
  if (!value.is_object()) return wrong_kind(path, "an object", &value);
  ToolCall call;
  HADAL_ASSIGN(call.id, optional_string(value, "id", path + ".id"));
  const Value* function = find_set(value, "function");
  if (!function || !function->is_object()) return wrong_kind(path + ".function", "an object", function);
  const Value* name = find_set(*function, "name");
  if (!name || !name->is_string()) return wrong_kind(path + ".function.name", "a string", name);
  call.name = name->as_string();

  const Value* arguments = find_set(*function, "arguments");
  if (!arguments) {
    call.arguments = "{}";
  } else if (arguments->is_string()) {
    call.arguments = arguments->as_string();
  } else if (arguments->is_object()) {
    call.arguments = json::dump(*arguments);  // dump and not dump_python: numbers keep their text
  } else {
    return wrong_kind(path + ".function.arguments", "JSON text or an object", arguments);
  }
  return call;
}

Result<std::vector<ToolCall>> parse_tool_calls(const Value* value) {
  std::vector<ToolCall> calls;
  if (!value) return calls;
  if (!value->is_array()) return wrong_kind("tool_calls", "an array", value);
  for (size_t i = 0; i < value->items().size(); ++i) {
    HADAL_ASSIGN(ToolCall call, parse_tool_call(value->items()[i], fmt::format("tool_calls[{}]", i)));
    calls.push_back(std::move(call));
  }
  return calls;
}

Result<void> check_tools(const Value& tools) {
  if (!tools.is_array()) return wrong_kind("tools", "an array", &tools);
  for (size_t i = 0; i < tools.items().size(); ++i) {
    const std::string path = fmt::format("tools[{}].function", i);
    const Value* function = tools.items()[i].find("function");
    if (!function || !function->is_object()) return wrong_kind(path, "an object", function);
    const Value* name = function->find("name");
    if (!name || !name->is_string()) return wrong_kind(path + ".name", "a string", name);
  }
  return {};
}

Value part_to_json(const ContentPart& part) {
  Value object = Value::object();
  object.set("type", Value::string(part.type));
  if (part.type == "text") object.set("text", Value::string(part.text));
  return object;
}

Value content_to_json(const Message& message) {
  if (message.content.empty()) return message.tool_calls.empty() ? Value::string("") : Value();
  if (message.content.size() == 1 && message.content[0].type == "text") return Value::string(message.content[0].text);
  Value parts = Value::array();
  for (const ContentPart& part : message.content) parts.push(part_to_json(part));
  return parts;
}

Value tool_call_to_json(const ToolCall& call) {
  Value function = Value::object();
  function.set("name", Value::string(call.name)).set("arguments", Value::string(call.arguments));
  Value object = Value::object();
  if (!call.id.empty()) object.set("id", Value::string(call.id));
  object.set("type", Value::string("function")).set("function", std::move(function));
  return object;
}

}  // namespace

Result<Message> parse_message(const Value& value) {
  if (!value.is_object()) return wrong_kind("", "an object", &value);
  Message message;
  const Value* role = value.find("role");
  if (!role || !role->is_string()) return wrong_kind("role", "a string", role);
  HADAL_ASSIGN(message.role, parse_role(role->as_string()));
  HADAL_ASSIGN(message.content, parse_content(find_set(value, "content")));
  HADAL_ASSIGN(message.reasoning_content, optional_string(value, "reasoning_content", "reasoning_content"));
  HADAL_ASSIGN(message.tool_calls, parse_tool_calls(find_set(value, "tool_calls")));
  HADAL_ASSIGN(message.tool_call_id, optional_string(value, "tool_call_id", "tool_call_id"));
  if (const Value* tools = find_set(value, "tools")) {
    HADAL_TRY(check_tools(*tools));
    message.tools = *tools;
  }
  if (const Value* response_format = find_set(value, "response_format")) message.response_format = *response_format;
  HADAL_ASSIGN(message.task, optional_string(value, "task", "task"));
  if (const Value* wo_eos = find_set(value, "wo_eos")) {
    if (!wo_eos->is_bool()) return wrong_kind("wo_eos", "a boolean", wo_eos);
    message.wo_eos = wo_eos->as_bool();
  }
  return message;
}

Value message_to_json(const Message& message) {
  Value object = Value::object();
  object.set("role", Value::string(role_name(message.role))).set("content", content_to_json(message));
  if (!message.reasoning_content.empty()) object.set("reasoning_content", Value::string(message.reasoning_content));
  if (!message.tool_calls.empty()) {
    Value calls = Value::array();
    for (const ToolCall& call : message.tool_calls) calls.push(tool_call_to_json(call));
    object.set("tool_calls", std::move(calls));
  }
  if (!message.tool_call_id.empty()) object.set("tool_call_id", Value::string(message.tool_call_id));
  if (!message.tools.is_null()) object.set("tools", message.tools);
  if (!message.response_format.is_null()) object.set("response_format", message.response_format);
  if (!message.task.empty()) object.set("task", Value::string(message.task));
  if (message.wo_eos) object.set("wo_eos", Value::boolean(true));
  return object;
}

}  // namespace hadal
