#include "server/api/chat_completions.h"

namespace hadal::api {
namespace {

using json::Value;
using Kind = OutputEvent::Kind;

Value tool_calls_json(const Message& message) {
  Value calls = Value::array();
  for (const ToolCall& call : message.tool_calls) {
    Value function = Value::object();
    function.set("name", Value::string(call.name)).set("arguments", Value::string(call.arguments));
    Value entry = Value::object();
    entry.set("id", Value::string(call.id)).set("type", Value::string("function")).set("function", std::move(function));
    calls.push(std::move(entry));
  }
  return calls;
}

class ChatCompletionWriter final : public AnswerWriter {
 public:
  explicit ChatCompletionWriter(const AnswerRequest& request)
      : n_(request.n), include_usage_(request.include_usage), has_logprobs_(request.sampling.logprobs.has_value()) {}

  std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }
  std::string keep_alive() const override { return ": keep-alive\n\n"; }

  std::string begin(const AnswerFacts& facts) override {
    facts_ = facts;
    std::string text;
    for (int choice = 0; choice < n_; ++choice) {
      Value delta = Value::object();
      delta.set("role", Value::string("assistant")).set("content", Value::string(""));
      text += chunk(choice, std::move(delta), Value(), Value());
    }
    return text;
  }

  std::string event(const AnswerEvent& e) override {
    Value delta = Value::object();
    Value logprobs;
    switch (e.event.kind) {
      case Kind::kReasoning:
        delta.set("reasoning_content", Value::string(e.event.text));
        break;
      case Kind::kContent:
        delta.set("content", Value::string(e.event.text));
        if (has_logprobs_) logprobs = openai_logprobs(e.logged);
        break;
      case Kind::kCallBegin:
        delta.set("tool_calls", Value::array({begun_call(e)}));
        break;
      case Kind::kCallArguments: {
        Value call = Value::object();
        call.set("index", Value::number(static_cast<int64_t>(e.event.call_index)))
            .set("function", Value::object({{"arguments", Value::string(e.event.text)}}));
        delta.set("tool_calls", Value::array({std::move(call)}));
        break;
      }
      case Kind::kCallEnd:
      case Kind::kCallBroken:
        return "";
    }
    return chunk(e.choice, std::move(delta), std::move(logprobs), Value());
  }

  std::string finished(int choice, const ChoiceAnswer& answer) override {
    return chunk(choice, Value::object(), Value(), Value::string(openai_finish_reason(answer.generated)));
  }

  std::string end(std::span<const ChoiceAnswer> choices) override {
    std::string text;
    if (include_usage_) {
      Value body = frame();
      body.set("choices", Value::array()).set("usage", openai_usage(facts_, choices));
      text = sse("", body);
    }
    return text + "data: [DONE]\n\n";
  }

  std::string failed(const ApiError& error) override { return sse("", openai_error(error)); }
  Value error(const ApiError& error) override { return openai_error(error); }

  Value whole(const AnswerFacts& facts, std::span<const ChoiceAnswer> choices) override {
    facts_ = facts;
    Value list = Value::array();
    for (size_t i = 0; i < choices.size(); ++i) {
      const Message& message = choices[i].generated.message;
      const std::string text = text_of(message);
      Value said = Value::object();
      said.set("role", Value::string("assistant"));
      said.set("content", text.empty() && !message.tool_calls.empty() ? Value() : Value::string(text));
      if (!message.reasoning_content.empty()) said.set("reasoning_content", Value::string(message.reasoning_content));
      if (!message.tool_calls.empty()) said.set("tool_calls", tool_calls_json(message));
      Value choice = Value::object();
      choice.set("index", Value::number(static_cast<int64_t>(i)))
          .set("message", std::move(said))
          .set("logprobs", has_logprobs_ ? openai_logprobs(choices[i].logged) : Value())
          .set("finish_reason", Value::string(openai_finish_reason(choices[i].generated)));
      list.push(std::move(choice));
    }
    Value body = frame("chat.completion");
    body.set("choices", std::move(list)).set("usage", openai_usage(facts, choices));
    return body;
  }

 private:
  static Value begun_call(const AnswerEvent& e) {
    Value function = Value::object();
    function.set("name", Value::string(e.event.text)).set("arguments", Value::string(""));
    Value call = Value::object();
    call.set("index", Value::number(static_cast<int64_t>(e.event.call_index)))
        .set("id", Value::string(e.call_id))
        .set("type", Value::string("function"))
        .set("function", std::move(function));
    return call;
  }

  Value frame(std::string_view object = "chat.completion.chunk") const {
    Value body = Value::object();
    body.set("id", Value::string(facts_.id))
        .set("object", Value::string(object))
        .set("created", Value::number(facts_.created_s))
        .set("model", Value::string(facts_.model))
        .set("system_fingerprint", Value::string(facts_.fingerprint));
    return body;
  }

  std::string chunk(int choice, Value delta, Value logprobs, Value finish_reason) const {
    Value entry = Value::object();
    entry.set("index", Value::number(static_cast<int64_t>(choice)))
        .set("delta", std::move(delta))
        .set("logprobs", std::move(logprobs))
        .set("finish_reason", std::move(finish_reason));
    Value body = frame();
    body.set("choices", Value::array({std::move(entry)}));
    if (include_usage_) body.set("usage", Value());
    return sse("", body);
  }

  int n_;
  bool include_usage_;
  bool has_logprobs_;
  AnswerFacts facts_;
};

}  // namespace

std::unique_ptr<AnswerWriter> chat_completion_writer(const AnswerRequest& request) {
  return std::make_unique<ChatCompletionWriter>(request);
}

}  // namespace hadal::api
