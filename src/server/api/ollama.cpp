#include "server/api/ollama.h"

#include <fmt/format.h>

#include "server/api/fields.h"

namespace hadal::api {
namespace {

using json::Value;
using Kind = OutputEvent::Kind;

std::string string_of(const Value& object, std::string_view key) {
  const Value* value = object.find(key);
  return value != nullptr && value->is_string() ? value->as_string() : "";
}

std::optional<ApiError> read_calls(const Value& list, const std::string& path, Message& message, size_t& n_calls) {
  for (size_t i = 0; i < list.items().size(); ++i) {
    const Value* function = list.items()[i].find("function");
    const std::string name = function == nullptr ? "" : string_of(*function, "name");
    if (name.empty()) return missing_parameter(fmt::format("{}.tool_calls[{}].function.name", path, i));
    const Value* arguments = function->find("arguments");
    message.tool_calls.push_back({.id = fmt::format("call_{}", n_calls++),
                                  .name = name,
                                  .arguments = arguments == nullptr     ? "{}"
                                               : arguments->is_string() ? arguments->as_string()
                                                                        : json::dump(*arguments)});
  }
  return std::nullopt;
}

// Calls have no ids there: results answer them in order.
std::optional<ApiError> read_messages(const Value& list, AnswerRequest& request) {
  size_t n_calls = 0;
  std::vector<std::string> open;
  for (size_t i = 0; i < list.items().size(); ++i) {
    const Value& value = list.items()[i];
    const std::string path = fmt::format("messages[{}]", i);
    Result<Role> role = parse_role(string_of(value, "role"));
    if (!role.ok())
      return invalid_value(path + ".role", fmt::format("'{}.role' must be system, user, assistant or tool", path));
    const Value* images = value.find("images");
    if (images != nullptr && !images->items().empty()) {
      return unsupported_parameter(path + ".images", "this model does not read images");
    }
    Message message;
    message.role = *role;
    if (const std::string text = string_of(value, "content"); !text.empty())
      message.content = {{.type = "text", .text = text}};
    message.reasoning_content = string_of(value, "thinking");
    if (const Value* calls = value.find("tool_calls")) {
      if (auto error = read_calls(*calls, path, message, n_calls)) return error;
      open.clear();
      for (const ToolCall& call : message.tool_calls) open.push_back(call.id);
    }
    if (message.role == Role::kTool) {
      if (open.empty()) return invalid_value(path, fmt::format("'{}' answers no tool call", path));
      message.tool_call_id = open.front();
      open.erase(open.begin());
    }
    request.messages.push_back(std::move(message));
  }
  return check_tool_results(request.messages, "messages");
}

std::optional<ApiError> read_options(const Fields& fields, const RequestDefaults& defaults, AnswerRequest& request) {
  static const Value kNone = Value::object();
  auto options = fields.object("options");
  if (!options.ok()) return options.error();
  Value renamed = *options == nullptr ? kNone : **options;
  if (const Value* penalty = renamed.find("repeat_penalty")) {
    const Value copy = *penalty;
    renamed.set("repetition_penalty", copy);
  }
  const Fields inner(renamed, "options.");
  if (auto error = read_sampling(inner, defaults, request)) return error;
  auto window = inner.integer("repeat_last_n", -1, int64_t{1} << 31);
  if (!window.ok()) return window.error();
  if (*window) request.sampling.repetition_window = **window;
  auto limit = inner.integer("num_predict", -2, int64_t{1} << 31);
  if (!limit.ok()) return limit.error();
  request.max_tokens = limit->value_or(-1) > 0 ? **limit : -1;
  auto logprobs = fields.boolean("logprobs");
  if (!logprobs.ok()) return logprobs.error();
  auto top = fields.integer("top_logprobs", 0, kTopLogprobsMax);
  if (!top.ok()) return top.error();
  if (logprobs->value_or(false)) request.sampling.logprobs = static_cast<int>(top->value_or(0));
  return std::nullopt;
}

std::optional<ApiError> read_format(const Fields& fields, AnswerRequest& request) {
  const Value* format = fields.find("format");
  if (format == nullptr || (format->is_string() && format->as_string().empty())) return std::nullopt;
  if (format->is_object()) {
    request.response_format = {.kind = ResponseFormat::Kind::kJsonSchema, .schema = *format, .strict = false};
    return std::nullopt;
  }
  if (!format->is_string() || format->as_string() != "json")
    return invalid_value("format", "'format' must be \"json\" or a JSON Schema");
  request.response_format.kind = ResponseFormat::Kind::kJsonObject;
  return std::nullopt;
}

std::optional<ApiError> read_think(const Fields& fields, AnswerRequest& request) {
  const Value* think = fields.find("think");
  if (think == nullptr) return std::nullopt;
  if (think->is_bool()) return request.thinking = think->as_bool(), std::nullopt;
  return read_effort(*think, "think", request);
}

int64_t nanoseconds(double seconds) {
  return static_cast<int64_t>(seconds * 1e9);
}

class OllamaWriter final : public AnswerWriter {
 public:
  OllamaWriter(OllamaForm form, std::string model, std::function<std::string()> now)
      : form_(form), model_(std::move(model)), now_(std::move(now)) {}

  std::string_view stream_type() const override { return "application/x-ndjson"; }
  std::string keep_alive() const override { return ""; }
  std::string begin(const AnswerFacts& facts) override {
    facts_ = facts;
    return "";
  }
  std::string event(const AnswerEvent& e) override {
    switch (e.event.kind) {
      case Kind::kReasoning:
        return line(frame("", e.event.text, Value()));
      case Kind::kContent: {
        Value body = frame(e.event.text, "", Value());
        if (!e.logged.empty()) body.set("logprobs", *openai_logprobs(e.logged).find("content"));
        return line(body.set("done", Value::boolean(false)));
      }
      case Kind::kCallBegin:
        call_ = {.id = "", .name = e.event.text, .arguments = ""};
        return "";
      case Kind::kCallArguments:
        call_.arguments += e.event.text;
        return "";
      case Kind::kCallEnd:
        return line(frame("", "", Value::array({call_json(call_, n_calls_++)})));
      case Kind::kCallBroken:
        return "";
    }
    return "";
  }
  std::string finished(int /*choice*/, const ChoiceAnswer& answer) override {
    return line(ended(frame("", "", Value()), answer));
  }
  std::string end(std::span<const ChoiceAnswer> /*choices*/) override { return ""; }
  std::string failed(const ApiError& e) override { return json::dump(ollama_error(e)) + "\n"; }
  Value error(const ApiError& e) override { return ollama_error(e); }

  Value whole(const AnswerFacts& facts, std::span<const ChoiceAnswer> choices) override {
    facts_ = facts;
    const ChoiceAnswer& answer = choices.front();
    const Message& message = answer.generated.message;
    Value calls = Value::array();
    for (const ToolCall& call : message.tool_calls) calls.push(call_json(call, n_calls_++));
    Value body = frame(text_of(message), message.reasoning_content, calls.items().empty() ? Value() : std::move(calls));
    if (!answer.logged.empty()) body.set("logprobs", *openai_logprobs(answer.logged).find("content"));
    return ended(std::move(body), answer);
  }

 private:
  static std::string line(const Value& body) { return json::dump(body) + "\n"; }

  static Value call_json(const ToolCall& call, int64_t index) {
    Result<Value> arguments = json::parse(call.arguments, "arguments");
    Value function = Value::object();
    function.set("index", Value::number(index))
        .set("name", Value::string(call.name))
        .set("arguments", arguments.ok() ? std::move(arguments).value() : Value::object());
    return Value::object({{"function", std::move(function)}});
  }

  Value frame(std::string_view content, std::string_view thinking, Value calls) const {
    Value body = Value::object();
    body.set("model", Value::string(model_)).set("created_at", Value::string(now_()));
    if (form_ == OllamaForm::kGenerate) {
      body.set("response", Value::string(content));
      if (!thinking.empty()) body.set("thinking", Value::string(thinking));
    } else {
      Value message = Value::object();
      message.set("role", Value::string("assistant")).set("content", Value::string(content));
      if (!thinking.empty()) message.set("thinking", Value::string(thinking));
      if (!calls.is_null()) message.set("tool_calls", std::move(calls));
      body.set("message", std::move(message));
    }
    return body.set("done", Value::boolean(false));
  }

  Value ended(Value body, const ChoiceAnswer& answer) const {
    const GenerationUsage& usage = answer.generated.usage;
    const bool is_cut = openai_finish_reason(answer.generated) == "length";
    body.set("done", Value::boolean(true))
        .set("done_reason", Value::string(is_cut ? "length" : "stop"))
        .set("total_duration", Value::number(nanoseconds(usage.prompt_s + usage.generate_s)))
        .set("load_duration", Value::number(int64_t{0}))
        .set("prompt_eval_count", Value::number(facts_.prompt_tokens))
        .set("prompt_eval_duration", Value::number(nanoseconds(usage.prompt_s)))
        .set("eval_count", Value::number(completion_tokens(answer.generated)))
        .set("eval_duration", Value::number(nanoseconds(usage.generate_s)));
    return body;
  }

  OllamaForm form_;
  std::string model_;
  std::function<std::string()> now_;
  AnswerFacts facts_;
  ToolCall call_;
  int64_t n_calls_ = 0;
};

}  // namespace

ApiResult<std::optional<AnswerRequest>> parse_ollama(OllamaForm form, const Value& body,
                                                     const RequestDefaults& defaults) {
  const Fields fields(body);
  AnswerRequest request;
  HADAL_API_ASSIGN(const std::optional<std::string> model, fields.string("model"));
  if (!model || model->empty()) return missing_parameter("model");
  request.model = *model;
  if (form == OllamaForm::kChat) {
    HADAL_API_ASSIGN(const Value* messages, fields.array("messages"));
    if (messages == nullptr || messages->items().empty()) return std::optional<AnswerRequest>();
    if (auto error = read_messages(*messages, request)) return *error;
    HADAL_API_ASSIGN(const Value* tools, fields.array("tools"));
    if (tools != nullptr && !tools->items().empty()) request.tools = *tools;
    if (auto error = check_tools(request.tools)) return *error;
  } else {
    HADAL_API_ASSIGN(const std::optional<std::string> prompt, fields.string("prompt"));
    HADAL_API_ASSIGN(const std::optional<std::string> system, fields.string("system"));
    HADAL_API_ASSIGN(const std::optional<std::string> suffix, fields.string("suffix"));
    HADAL_API_ASSIGN(const std::optional<bool> raw, fields.boolean("raw"));
    const Value* images = fields.find("images");
    if (images != nullptr && !images->items().empty())
      return unsupported_parameter("images", "this model does not read images");
    if (fields.has("template")) return unsupported_parameter("template", "'template' is not supported; use 'raw'");
    if (!prompt || prompt->empty()) return std::optional<AnswerRequest>();
    const bool has_suffix = suffix && !suffix->empty();
    if (raw.value_or(false) || has_suffix) {
      request.raw = RawPrompt{.text = *prompt, .suffix = has_suffix ? suffix : std::nullopt};
    } else {
      if (system && !system->empty()) request.messages.push_back(system_message(*system));
      request.messages.push_back(user_message(*prompt));
    }
  }
  if (auto error = read_options(fields, defaults, request)) return *error;
  if (auto error = read_format(fields, request)) return *error;
  if (auto error = read_think(fields, request)) return *error;
  HADAL_API_ASSIGN(const std::optional<bool> stream, fields.boolean("stream"));
  request.stream = stream.value_or(true);
  return std::optional(std::move(request));
}

std::unique_ptr<AnswerWriter> ollama_writer(OllamaForm form, std::string model, std::function<std::string()> now) {
  return std::make_unique<OllamaWriter>(form, std::move(model), std::move(now));
}

Value ollama_loaded(OllamaForm form, std::string_view model, std::string_view reason, std::string_view now) {
  Value body = Value::object();
  body.set("model", Value::string(model)).set("created_at", Value::string(now));
  if (form == OllamaForm::kGenerate) {
    body.set("response", Value::string(""));
  } else {
    Value message = Value::object();
    message.set("role", Value::string("assistant")).set("content", Value::string(""));
    body.set("message", std::move(message));
  }
  return body.set("done", Value::boolean(true)).set("done_reason", Value::string(reason));
}

}  // namespace hadal::api
