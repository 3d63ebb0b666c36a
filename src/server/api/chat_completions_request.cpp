#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "server/api/chat_completions.h"
#include "server/api/fields.h"

namespace hadal::api {
namespace {

using json::Value;

constexpr size_t kMessagesMax = 100'000;
constexpr int64_t kTokensMax = std::numeric_limits<int32_t>::max();

// Fields that change what an answer means and that cannot be honoured.
constexpr std::string_view kRefused[] = {"functions",  "function_call",      "audio",
                                         "prediction", "web_search_options", "logit_processors"};

// The array form of text must give the tokens of the joined string.
ApiResult<std::string> joined_text(const Value& content, const std::string& path) {
  if (content.is_null()) return std::string();
  if (content.is_string()) return content.as_string();
  if (!content.is_array()) {
    return invalid_value(path, fmt::format("'{}' must be a string or an array of parts", path));
  }
  std::string text;
  for (size_t i = 0; i < content.items().size(); ++i) {
    const Value& part = content.items()[i];
    const std::string part_path = fmt::format("{}[{}]", path, i);
    const Value* type = part.find("type");
    const std::string kind = type != nullptr && type->is_string() ? type->as_string() : "";
    const bool is_text = kind == "text" || kind == "refusal";
    if (!is_text) {
      return unsupported_parameter(part_path + ".type",
                                   fmt::format("'{}.type' {} is not supported by this model; 'text' is", part_path,
                                               json::quote(json::excerpt(kind))));
    }
    const Value* value = part.find(kind);
    if (value == nullptr || !value->is_string()) {
      return invalid_value(part_path + "." + kind, fmt::format("'{}.{}' must be a string", part_path, kind));
    }
    text += value->as_string();
  }
  return text;
}

ApiResult<Message> parse_one(const Value& value, const std::string& path, bool is_last) {
  if (!value.is_object()) return invalid_value(path, fmt::format("'{}' must be an object", path));
  const Value* role = value.find("role");
  static constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool"};
  if (role == nullptr || !role->is_string() || std::ranges::find(kRoles, role->as_string()) == std::end(kRoles)) {
    return invalid_value(path + ".role",
                         fmt::format("'{}.role' must be system, developer, user, assistant or tool", path));
  }
  // Content is joined here; the other fields are read by the one reader of messages.
  Value rest = Value::object();
  for (const auto& [key, field] : value.members()) {
    static constexpr std::string_view kRead[] = {"role", "tool_calls", "tool_call_id", "reasoning_content"};
    if (std::ranges::find(kRead, key) != std::end(kRead)) rest.set(key, field);
  }
  if (const Value* reasoning = value.find("reasoning");
      reasoning != nullptr && rest.find("reasoning_content") == nullptr) {
    if (reasoning->is_string()) rest.set("reasoning_content", *reasoning);
  }
  Result<Message> parsed = parse_message(rest);
  if (!parsed.ok()) {
    ApiError error = of_error(parsed.error());
    error.param = parsed.error().in.empty() ? path : path + "." + parsed.error().in;
    error.message = fmt::format("'{}': {}; expected {}, found {}", error.param, parsed.error().what,
                                parsed.error().want, parsed.error().found);
    return error;
  }
  Message message = std::move(parsed).value();
  static const Value kNull;
  const Value* content = value.find("content");
  HADAL_API_ASSIGN(std::string text, joined_text(content == nullptr ? kNull : *content, path + ".content"));
  if (content == nullptr && message.role != Role::kAssistant) return missing_parameter(path + ".content");
  if (!text.empty()) message.content = {{.type = "text", .text = std::move(text)}};
  if (message.role == Role::kTool && message.tool_call_id.empty()) return missing_parameter(path + ".tool_call_id");
  const Value* prefix = value.find("prefix");
  if (prefix != nullptr && prefix->is_bool() && prefix->as_bool()) {
    if (!is_last || message.role != Role::kAssistant) {
      return invalid_value(path + ".prefix", "'prefix' belongs to the last message, of the assistant");
    }
    message.wo_eos = true;
  }
  return message;
}

std::optional<ApiError> read_messages(const Fields& fields, AnswerRequest& request) {
  auto list = fields.array("messages");
  if (!list.ok()) return list.error();
  if (*list == nullptr) return missing_parameter("messages");
  const json::Array& items = (*list)->items();
  if (items.empty()) return invalid_value("messages", "'messages' must hold at least one message");
  if (items.size() > kMessagesMax) {
    return invalid_value("messages", fmt::format("'messages' may hold at most {} messages", kMessagesMax));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    auto message = parse_one(items[i], fmt::format("messages[{}]", i), i + 1 == items.size());
    if (!message.ok()) return message.error();
    request.messages.push_back(std::move(*message));
  }
  if (auto error = check_tool_results(request.messages, "messages")) return error;
  join_system_messages(request.messages);
  return std::nullopt;
}

std::optional<ApiError> read_tool_choice(const Fields& fields, AnswerRequest& request) {
  auto parallel = fields.boolean("parallel_tool_calls");
  if (!parallel.ok()) return parallel.error();
  request.parallel_tool_calls = parallel->value_or(true);
  const Value* choice = fields.find("tool_choice");
  if (choice == nullptr) return std::nullopt;
  using Kind = ToolChoice::Kind;
  const auto unknown = [] {
    return invalid_value("tool_choice",
                         "'tool_choice' must be \"none\", \"auto\", \"required\" or "
                         "{\"type\":\"function\",\"function\":{\"name\":...}}");
  };
  if (choice->is_string()) {
    if (choice->as_string() == "auto") return std::nullopt;
    if (choice->as_string() == "none") return request.tool_choice.kind = Kind::kNone, std::nullopt;
    if (choice->as_string() != "required") return unknown();
    request.tool_choice.kind = Kind::kRequired;
  } else {
    const Value* function = choice->find("function");
    const Value* name = function == nullptr ? nullptr : function->find("name");
    if (name == nullptr || !name->is_string()) return unknown();
    request.tool_choice = {.kind = Kind::kNamed, .name = name->as_string(), .allowed = {}};
    if (!has_tool(request.tools, name->as_string())) {
      return invalid_value("tool_choice", fmt::format("'tool_choice' names a tool that 'tools' does not have: {}",
                                                      json::excerpt(name->as_string())));
    }
  }
  if (request.tools.is_null()) return invalid_value("tool_choice", "'tool_choice' asks for a tool, but there are none");
  return std::nullopt;
}

std::optional<ApiError> read_response_format(const Fields& fields, AnswerRequest& request) {
  auto format = fields.object("response_format");
  if (!format.ok()) return format.error();
  if (*format == nullptr) return std::nullopt;
  const Fields inner(**format, "response_format.");
  auto type = inner.string("type");
  if (!type.ok()) return type.error();
  const std::string kind = type->value_or("");
  if (kind == "text") return std::nullopt;
  if (kind == "json_object") {
    request.response_format.kind = ResponseFormat::Kind::kJsonObject;
    return std::nullopt;
  }
  if (kind != "json_schema") {
    return invalid_value("response_format.type", "'response_format.type' must be text, json_object or json_schema");
  }
  auto wrapper = inner.object("json_schema");
  if (!wrapper.ok()) return wrapper.error();
  if (*wrapper == nullptr) return missing_parameter("response_format.json_schema");
  const Fields schema_fields(**wrapper, "response_format.json_schema.");
  auto schema = schema_fields.object("schema");
  if (!schema.ok()) return schema.error();
  if (*schema == nullptr) return missing_parameter("response_format.json_schema.schema");
  auto strict = schema_fields.boolean("strict");
  if (!strict.ok()) return strict.error();
  request.response_format = {
      .kind = ResponseFormat::Kind::kJsonSchema, .schema = **schema, .strict = strict->value_or(false)};
  return std::nullopt;
}

std::optional<ApiError> read_thinking(const Fields& fields, AnswerRequest& request) {
  auto thinking = fields.object("thinking");
  if (!thinking.ok()) return thinking.error();
  if (*thinking != nullptr) {
    auto type = Fields(**thinking, "thinking.").string("type");
    if (!type.ok()) return type.error();
    if (*type != "enabled" && *type != "disabled") {
      return invalid_value("thinking.type", "'thinking.type' must be enabled or disabled");
    }
    request.thinking = *type == "enabled";
  }
  // What templates of other servers take.
  auto kwargs = fields.object("chat_template_kwargs");
  if (!kwargs.ok()) return kwargs.error();
  for (const std::string_view name : {"thinking", "enable_thinking"}) {
    const Value* flag = *kwargs == nullptr ? nullptr : (*kwargs)->find(name);
    if (flag != nullptr && flag->is_bool()) request.thinking = flag->as_bool();
  }
  const Value* effort = fields.find("reasoning_effort");
  if (effort == nullptr) return std::nullopt;
  const bool is_off = request.thinking == false;
  if (auto error = read_effort(*effort, "reasoning_effort", request)) return error;
  if (is_off) request.thinking = false, request.effort = ReasoningEffort::kNone, request.effort_level = 0;
  return std::nullopt;
}

std::optional<ApiError> read_limits(const Fields& fields, AnswerRequest& request) {
  for (const std::string_view name : {"max_tokens", "max_completion_tokens"}) {
    auto limit = fields.integer(name, 1, kTokensMax);
    if (!limit.ok()) return limit.error();
    if (*limit) request.max_tokens = **limit;
  }
  auto n = fields.integer("n", 1, 16);
  if (!n.ok()) return n.error();
  request.n = static_cast<int>(n->value_or(1));
  auto logprobs = fields.boolean("logprobs");
  if (!logprobs.ok()) return logprobs.error();
  auto top = fields.integer("top_logprobs", 0, kTopLogprobsMax);
  if (!top.ok()) return top.error();
  if (*top && !logprobs->value_or(false)) return invalid_value("top_logprobs", "'top_logprobs' needs 'logprobs': true");
  if (logprobs->value_or(false)) request.sampling.logprobs = static_cast<int>(top->value_or(0));
  auto options = fields.object("stream_options");
  if (!options.ok()) return options.error();
  if (*options == nullptr) return std::nullopt;
  const Fields inner(**options, "stream_options.");
  auto usage = inner.boolean("include_usage");
  if (!usage.ok()) return usage.error();
  auto progress = inner.boolean("include_progress");
  if (!progress.ok()) return progress.error();
  request.include_usage = usage->value_or(false);
  request.wants_progress = progress->value_or(false);
  return std::nullopt;
}

std::optional<ApiError> check_refused(const Fields& fields) {
  for (const std::string_view name : kRefused) {
    if (fields.has(name)) {
      return unsupported_parameter(std::string(name), fmt::format("'{}' is not supported by this server", name));
    }
  }
  auto modalities = fields.strings("modalities", 16);
  if (!modalities.ok()) return modalities.error();
  for (const std::string& modality : *modalities) {
    if (modality != "text") return unsupported_parameter("modalities", "only the modality 'text' is supported");
  }
  return std::nullopt;
}

}  // namespace

ApiResult<AnswerRequest> parse_chat_completion(const Value& body, const RequestDefaults& defaults) {
  const Fields fields(body);
  AnswerRequest request;
  auto model = fields.string("model");
  if (!model.ok()) return model.error();
  request.model = model->value_or("");
  if (auto error = check_refused(fields)) return *error;
  if (auto error = read_messages(fields, request)) return *error;
  HADAL_API_ASSIGN(const Value* tools, fields.array("tools"));
  if (tools != nullptr && !tools->items().empty()) request.tools = *tools;
  if (auto error = check_tools(request.tools)) return *error;
  if (auto error = read_tool_choice(fields, request)) return *error;
  if (auto error = read_response_format(fields, request)) return *error;
  if (auto error = read_thinking(fields, request)) return *error;
  if (auto error = read_sampling(fields, defaults, request)) return *error;
  if (auto error = read_limits(fields, request)) return *error;
  return request;
}

}  // namespace hadal::api
