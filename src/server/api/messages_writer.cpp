#include "server/api/messages.h"

namespace hadal::api {
namespace {

using json::Value;
using Kind = OutputEvent::Kind;

Value usage_json(const AnswerFacts& facts, int64_t output_tokens) {
  Value usage = Value::object();
  usage.set("input_tokens", Value::number(facts.prompt_tokens - facts.cached_tokens))
      .set("cache_creation_input_tokens", Value::number(int64_t{0}))
      .set("cache_read_input_tokens", Value::number(facts.cached_tokens))
      .set("output_tokens", Value::number(output_tokens));
  return usage;
}

std::string_view stop_reason(const Generated& generated) {
  switch (generated.finish_reason) {
    case FinishReason::kStopString:
      return "stop_sequence";
    case FinishReason::kLength:
    case FinishReason::kCancelled:
      return "max_tokens";
    case FinishReason::kStop:
      break;
  }
  return generated.message.tool_calls.empty() ? "end_turn" : "tool_use";
}

Value stop_sequence(const ChoiceAnswer& answer) {
  return answer.stop_string.empty() ? Value() : Value::string(answer.stop_string);
}

// `input` is an object there; what a model wrote that is none is handed on under one key.
Value input_of(const ToolCall& call) {
  Result<Value> parsed = json::parse(call.arguments, "arguments");
  if (parsed.ok() && parsed->is_object()) return std::move(parsed).value();
  return Value::object({{"arguments", Value::string(call.arguments)}});
}

class MessagesWriter final : public AnswerWriter {
 public:
  explicit MessagesWriter(std::string request_id) : request_id_(std::move(request_id)) {}

  std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }
  std::string keep_alive() const override { return sse("ping", Value::object({{"type", Value::string("ping")}})); }

  std::string begin(const AnswerFacts& facts) override {
    facts_ = facts;
    Value message = envelope(Value::array(), Value(), Value(), 0);
    return sse("message_start",
               Value::object({{"type", Value::string("message_start")}, {"message", std::move(message)}}));
  }

  std::string event(const AnswerEvent& e) override {
    switch (e.event.kind) {
      case Kind::kReasoning:
        return delta(Block::kThinking, "thinking_delta", "thinking", e.event.text);
      case Kind::kContent:
        return delta(Block::kText, "text_delta", "text", e.event.text);
      case Kind::kCallBegin: {
        Value block = Value::object();
        block.set("type", Value::string("tool_use"))
            .set("id", Value::string(e.call_id))
            .set("name", Value::string(e.event.text))
            .set("input", Value::object());
        std::string before = close_block();  // in this order: both change what is open
        return before + open_block(Block::kTool, std::move(block));
      }
      case Kind::kCallArguments:
        return open_ == Block::kTool ? delta_event("input_json_delta", "partial_json", e.event.text) : "";
      case Kind::kCallEnd:
      case Kind::kCallBroken:
        return close_block();
    }
    return "";
  }

  std::string finished(int /*choice*/, const ChoiceAnswer& answer) override {
    std::string text = close_block();
    Value last = Value::object();
    last.set("stop_reason", Value::string(stop_reason(answer.generated))).set("stop_sequence", stop_sequence(answer));
    Value body = Value::object();
    body.set("type", Value::string("message_delta"))
        .set("delta", std::move(last))
        .set("usage", usage_json(facts_, completion_tokens(answer.generated)));
    return text + sse("message_delta", body);
  }

  std::string end(std::span<const ChoiceAnswer> /*choices*/) override {
    return sse("message_stop", Value::object({{"type", Value::string("message_stop")}}));
  }
  std::string failed(const ApiError& e) override { return sse("error", anthropic_error(e, request_id_)); }
  Value error(const ApiError& e) override { return anthropic_error(e, request_id_); }

  Value whole(const AnswerFacts& facts, std::span<const ChoiceAnswer> choices) override {
    facts_ = facts;
    const ChoiceAnswer& answer = choices.front();
    const Message& message = answer.generated.message;
    Value content = Value::array();
    if (!message.reasoning_content.empty()) {
      Value block = Value::object();
      block.set("type", Value::string("thinking"))
          .set("thinking", Value::string(message.reasoning_content))
          .set("signature", Value::string(signature()));
      content.push(std::move(block));
    }
    if (const std::string text = text_of(message); !text.empty()) {
      content.push(Value::object({{"type", Value::string("text")}, {"text", Value::string(text)}}));
    }
    for (const ToolCall& call : message.tool_calls) {
      Value block = Value::object();
      block.set("type", Value::string("tool_use"))
          .set("id", Value::string(call.id))
          .set("name", Value::string(call.name))
          .set("input", input_of(call));
      content.push(std::move(block));
    }
    return envelope(std::move(content), Value::string(stop_reason(answer.generated)), stop_sequence(answer),
                    completion_tokens(answer.generated));
  }

 private:
  enum class Block { kNone, kThinking, kText, kTool };

  // Clients want one and send it back; what counts of a returned block is its text.
  std::string signature() const { return "aGFkYWw6" + facts_.id.substr(facts_.id.find('_') + 1); }

  Value envelope(Value content, Value reason, Value sequence, int64_t output_tokens) const {
    Value message = Value::object();
    message.set("id", Value::string(facts_.id))
        .set("type", Value::string("message"))
        .set("role", Value::string("assistant"))
        .set("model", Value::string(facts_.model))
        .set("content", std::move(content))
        .set("stop_reason", std::move(reason))
        .set("stop_sequence", std::move(sequence))
        .set("usage", usage_json(facts_, output_tokens));
    return message;
  }

  std::string open_block(Block kind, Value block) {
    open_ = kind;
    ++index_;
    Value body = Value::object();
    body.set("type", Value::string("content_block_start"))
        .set("index", Value::number(index_))
        .set("content_block", std::move(block));
    return sse("content_block_start", body);
  }

  std::string close_block() {
    if (open_ == Block::kNone) return "";
    std::string text;
    if (open_ == Block::kThinking) text = delta_event("signature_delta", "signature", signature());
    open_ = Block::kNone;
    Value body = Value::object();
    body.set("type", Value::string("content_block_stop")).set("index", Value::number(index_));
    return text + sse("content_block_stop", body);
  }

  std::string delta_event(std::string_view type, std::string_view key, std::string_view text) const {
    Value inner = Value::object();
    inner.set("type", Value::string(type)).set(key, Value::string(text));
    Value body = Value::object();
    body.set("type", Value::string("content_block_delta"))
        .set("index", Value::number(index_))
        .set("delta", std::move(inner));
    return sse("content_block_delta", body);
  }

  std::string delta(Block kind, std::string_view type, std::string_view key, std::string_view text) {
    std::string before;
    if (open_ != kind) {
      Value block = Value::object();
      block.set("type", Value::string(key)).set(key, Value::string(""));
      if (kind == Block::kThinking) block.set("signature", Value::string(""));
      before = close_block();
      before += open_block(kind, std::move(block));
    }
    return before + delta_event(type, key, text);
  }

  std::string request_id_;
  AnswerFacts facts_;
  Block open_ = Block::kNone;
  int64_t index_ = -1;
};

}  // namespace

std::unique_ptr<AnswerWriter> messages_writer(const AnswerRequest& /*request*/, std::string request_id) {
  return std::make_unique<MessagesWriter>(std::move(request_id));
}

}  // namespace hadal::api
