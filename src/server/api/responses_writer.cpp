#include <fmt/format.h>

#include "server/api/responses.h"

namespace hadal::api {
namespace {

using json::Value;
using Kind = OutputEvent::Kind;

std::string input_of_custom(const std::string& arguments) {
  Result<Value> parsed = json::parse(arguments, "arguments");
  const Value* input = parsed.ok() ? parsed->find("input") : nullptr;
  return input != nullptr && input->is_string() ? input->as_string() : arguments;
}

class ResponsesWriter final : public AnswerWriter {
 public:
  explicit ResponsesWriter(const ResponsesRequest& request)
      : echoed_(request.echoed),
        tools_(request.tools),
        encrypts_(request.includes_encrypted_reasoning),
        has_logprobs_(request.answer.sampling.logprobs.has_value()) {}

  std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }
  std::string keep_alive() const override { return ": keep-alive\n\n"; }

  std::string begin(const AnswerFacts& facts) override {
    facts_ = facts;
    const Value envelope = envelope_of("in_progress", Value::array(), Value(), Value());
    std::string text = emit("response.created", Value::object({{"response", envelope}}));  // numbers count up in order
    return text + emit("response.in_progress", Value::object({{"response", envelope}}));
  }

  std::string event(const AnswerEvent& e) override {
    switch (e.event.kind) {
      case Kind::kReasoning:
        return text_delta(Item::kReasoning, e);
      case Kind::kContent:
        return text_delta(Item::kMessage, e);
      case Kind::kCallBegin:
        return begin_call(e);
      case Kind::kCallArguments:
        return call_delta(e.event.text);
      case Kind::kCallEnd:
        return close_item();
      case Kind::kCallBroken:
        if (open_ == Item::kCall) --next_index_, open_ = Item::kNone;
        return "";
    }
    return "";
  }

  std::string finished(int /*choice*/, const ChoiceAnswer& answer) override {
    std::string text = close_item();
    const bool is_complete = openai_finish_reason(answer.generated) != "length";
    return text + emit(is_complete ? "response.completed" : "response.incomplete",
                       Value::object({{"response", final_envelope(answer, items_)}}));
  }
  std::string end(std::span<const ChoiceAnswer> /*choices*/) override { return ""; }

  std::string failed(const ApiError& e) override {
    Value inner = Value::object();
    inner.set("code", Value::string(e.code.empty() ? "server_error" : e.code)).set("message", Value::string(e.message));
    Value envelope = envelope_of("failed", Value::array(), Value(), Value());
    envelope.set("error", std::move(inner));
    Value last = Value::object();
    last.set("code", Value::string(e.code)).set("message", Value::string(e.message)).set("param", Value());
    std::string text = emit("response.failed", Value::object({{"response", std::move(envelope)}}));
    return text + emit("error", std::move(last));
  }
  Value error(const ApiError& e) override { return openai_error(e); }

  Value whole(const AnswerFacts& facts, std::span<const ChoiceAnswer> choices) override {
    facts_ = facts;
    const ChoiceAnswer& answer = choices.front();
    const Message& message = answer.generated.message;
    Value items = Value::array();
    if (!message.reasoning_content.empty()) items.push(reasoning_item(mint_id("rs_"), message.reasoning_content));
    if (const std::string text = text_of(message); !text.empty()) {
      items.push(message_item(mint_id("msg_"), text, answer.logged));
    }
    for (const ToolCall& call : message.tool_calls) items.push(call_item(mint_id("fc_"), call));
    return final_envelope(answer, std::move(items));
  }

 private:
  enum class Item { kNone, kReasoning, kMessage, kCall };

  Value envelope_of(std::string_view status, Value output, Value usage, Value incomplete) const {
    Value body = Value::object();
    body.set("id", Value::string(facts_.id))
        .set("object", Value::string("response"))
        .set("created_at", Value::number(facts_.created_s))
        .set("status", Value::string(status))
        .set("background", Value::boolean(false))
        .set("error", Value())
        .set("incomplete_details", std::move(incomplete))
        .set("model", Value::string(facts_.model))
        .set("output", std::move(output));
    for (const auto& [key, value] : echoed_.members()) body.set(key, value);
    body.set("usage", std::move(usage));
    return body;
  }

  Value final_envelope(const ChoiceAnswer& answer, Value items) const {
    const bool is_complete = openai_finish_reason(answer.generated) != "length";
    const GenerationUsage& used = answer.generated.usage;
    Value usage = Value::object();
    usage.set("input_tokens", Value::number(facts_.prompt_tokens))
        .set("input_tokens_details", Value::object({{"cached_tokens", Value::number(facts_.cached_tokens)}}))
        .set("output_tokens", Value::number(completion_tokens(answer.generated)))
        .set("output_tokens_details", Value::object({{"reasoning_tokens", Value::number(used.reasoning_tokens)}}))
        .set("total_tokens", Value::number(facts_.prompt_tokens + completion_tokens(answer.generated)));
    Value reason = is_complete ? Value() : Value::object({{"reason", Value::string("max_output_tokens")}});
    return envelope_of(is_complete ? "completed" : "incomplete", std::move(items), std::move(usage), std::move(reason));
  }

  std::string emit(std::string_view type, Value fields) {
    Value body = Value::object();
    body.set("type", Value::string(type)).set("sequence_number", Value::number(sequence_++));
    for (auto& [key, value] : fields.members()) body.set(key, std::move(value));
    return sse(type, body);
  }

  Value reasoning_item(const std::string& id, const std::string& text) const {
    Value part = Value::object();
    part.set("type", Value::string("reasoning_text")).set("text", Value::string(text));
    Value item = Value::object();
    item.set("id", Value::string(id))
        .set("type", Value::string("reasoning"))
        .set("summary", Value::array())
        .set("content", Value::array({std::move(part)}));
    // An opaque string that comes back beside the text; the text is what counts.
    if (encrypts_) item.set("encrypted_content", Value::string("aGFkYWw6" + id.substr(3)));
    return item.set("status", Value::string("completed"));
  }

  Value text_part(const std::string& text, std::span<const LoggedToken> logged) const {
    Value logprobs = has_logprobs_ ? *openai_logprobs(logged).find("content") : Value::array();
    Value part = Value::object();
    part.set("type", Value::string("output_text"))
        .set("text", Value::string(text))
        .set("annotations", Value::array())
        .set("logprobs", std::move(logprobs));
    return part;
  }

  Value message_item(const std::string& id, const std::string& text, std::span<const LoggedToken> logged) const {
    Value item = Value::object();
    item.set("id", Value::string(id))
        .set("type", Value::string("message"))
        .set("role", Value::string("assistant"))
        .set("status", Value::string("completed"))
        .set("content", Value::array({text_part(text, logged)}));
    return item;
  }

  Value call_item(const std::string& id, const ToolCall& call, std::string_view status = "completed") const {
    const auto found = tools_.find(call.name);
    const ResponseTool tool = found != tools_.end()
                                  ? found->second
                                  : ResponseTool{.name = call.name, .tool_namespace = "", .is_custom = false};
    Value item = Value::object();
    item.set("id", Value::string(id))
        .set("type", Value::string(tool.is_custom ? "custom_tool_call" : "function_call"))
        .set("status", Value::string(status))
        .set("call_id", Value::string(call.id))
        .set("name", Value::string(tool.name));
    if (!tool.tool_namespace.empty()) item.set("namespace", Value::string(tool.tool_namespace));
    if (tool.is_custom)
      return item.set("input", Value::string(call.arguments.empty() ? "" : input_of_custom(call.arguments)));
    return item.set("arguments", Value::string(call.arguments));
  }

  Value place() const {
    Value at = Value::object();
    at.set("item_id", Value::string(item_id_)).set("output_index", Value::number(next_index_ - 1));
    return at;
  }
  Value part_place() const { return place().set("content_index", Value::number(int64_t{0})); }

  std::string open_text(Item kind) {
    std::string text = close_item();
    open_ = kind;
    text_.clear();
    logged_.clear();
    ++next_index_;
    const bool is_message = kind == Item::kMessage;
    item_id_ = mint_id(is_message ? "msg_" : "rs_");
    Value item = Value::object();
    item.set("id", Value::string(item_id_)).set("type", Value::string(is_message ? "message" : "reasoning"));
    if (is_message) item.set("role", Value::string("assistant"));
    if (!is_message) item.set("summary", Value::array());
    item.set("content", Value::array()).set("status", Value::string("in_progress"));
    Value added = Value::object();
    added.set("output_index", Value::number(next_index_ - 1)).set("item", std::move(item));
    text += emit("response.output_item.added", std::move(added));
    return text + emit("response.content_part.added", part_place().set("part", open_part()));
  }

  Value open_part() const {
    if (open_ == Item::kMessage) return text_part("", {});
    Value part = Value::object();
    part.set("type", Value::string("reasoning_text")).set("text", Value::string(""));
    return part;
  }

  std::string text_delta(Item kind, const AnswerEvent& e) {
    std::string before = open_ == kind ? "" : open_text(kind);
    text_ += e.event.text;
    Value delta = part_place();
    delta.set("delta", Value::string(e.event.text));
    if (kind == Item::kReasoning) return before + emit("response.reasoning_text.delta", std::move(delta));
    logged_.insert(logged_.end(), e.logged.begin(), e.logged.end());
    delta.set("logprobs", has_logprobs_ ? *openai_logprobs(e.logged).find("content") : Value::array());
    return before + emit("response.output_text.delta", std::move(delta));
  }

  std::string begin_call(const AnswerEvent& e) {
    std::string text = close_item();
    open_ = Item::kCall;
    ++next_index_;
    item_id_ = mint_id("fc_");
    call_ = {.id = e.call_id, .name = e.event.text, .arguments = ""};
    Value added = Value::object();
    added.set("output_index", Value::number(next_index_ - 1)).set("item", call_item(item_id_, call_, "in_progress"));
    return text + emit("response.output_item.added", std::move(added));
  }

  bool is_custom() const {
    const auto found = tools_.find(call_.name);
    return found != tools_.end() && found->second.is_custom;
  }

  std::string call_delta(const std::string& arguments) {
    if (open_ != Item::kCall) return "";
    call_.arguments += arguments;
    if (is_custom()) return "";  // its text is known when the JSON around it is complete
    return emit("response.function_call_arguments.delta", place().set("delta", Value::string(arguments)));
  }

  std::string close_item() {
    if (open_ == Item::kNone) return "";
    std::string text;
    Value item;
    if (open_ == Item::kCall) {
      if (is_custom()) {
        const std::string input = input_of_custom(call_.arguments);
        text += emit("response.custom_tool_call_input.delta", place().set("delta", Value::string(input)));
        text += emit("response.custom_tool_call_input.done", place().set("input", Value::string(input)));
      } else {
        Value done = place();
        done.set("name", Value::string(call_.name)).set("arguments", Value::string(call_.arguments));
        text += emit("response.function_call_arguments.done", std::move(done));
      }
      item = call_item(item_id_, call_);
    } else if (open_ == Item::kReasoning) {
      text += emit("response.reasoning_text.done", part_place().set("text", Value::string(text_)));
      item = reasoning_item(item_id_, text_);
      text += emit("response.content_part.done", part_place().set("part", item.find("content")->items()[0]));
    } else {
      item = message_item(item_id_, text_, logged_);
      const Value part = item.find("content")->items()[0];
      Value done = part_place();
      done.set("text", Value::string(text_)).set("logprobs", *part.find("logprobs"));
      text += emit("response.output_text.done", std::move(done));
      text += emit("response.content_part.done", part_place().set("part", part));
    }
    open_ = Item::kNone;
    items_.push(item);
    Value done = Value::object();
    done.set("output_index", Value::number(next_index_ - 1)).set("item", std::move(item));
    return text + emit("response.output_item.done", std::move(done));
  }

  Value echoed_;
  std::map<std::string, ResponseTool> tools_;
  bool encrypts_;
  bool has_logprobs_;
  AnswerFacts facts_;
  int64_t sequence_ = 0;
  int64_t next_index_ = 0;
  Item open_ = Item::kNone;
  std::string item_id_;
  std::string text_;                 // of the open text item
  std::vector<LoggedToken> logged_;  // of the open message
  ToolCall call_;                    // the open one
  Value items_ = Value::array();
};

}  // namespace

std::unique_ptr<AnswerWriter> responses_writer(const ResponsesRequest& request) {
  return std::make_unique<ResponsesWriter>(request);
}

}  // namespace hadal::api
