// The streams of each API, event by event, for one answer: reasoning, text and a call.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/chat_completions.h"
#include "server/api/completions.h"
#include "server/api/messages.h"
#include "server/api/ollama.h"
#include "server/api/responses.h"

namespace hadal::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = OutputEvent::Kind;

const AnswerFacts kFacts = {.id = "id_1",
                            .created_s = 1795425808,
                            .model = "m",
                            .fingerprint = "fp",
                            .prompt_tokens = 412,
                            .cached_tokens = 384};

AnswerEvent event_of(Kind kind, std::string text, int call_index = -1) {
  AnswerEvent event;
  event.event = {.kind = kind, .text = std::move(text), .call_index = call_index};
  if (call_index >= 0) event.call_id = "call_" + std::to_string(call_index);
  return event;
}

std::vector<AnswerEvent> answer_events() {
  return {event_of(Kind::kReasoning, "Look "),
          event_of(Kind::kReasoning, "it up."),
          event_of(Kind::kContent, "Checking."),
          event_of(Kind::kCallBegin, "get_weather", 0),
          event_of(Kind::kCallArguments, "{\"city\": \"Par", 0),
          event_of(Kind::kCallArguments, "is\"}", 0),
          event_of(Kind::kCallEnd, "", 0)};
}

ChoiceAnswer whole_answer() {
  ChoiceAnswer answer;
  Message& message = answer.generated.message;
  message.role = Role::kAssistant;
  message.reasoning_content = "Look it up.";
  message.content = {{.type = "text", .text = "Checking."}};
  message.tool_calls = {{.id = "call_0", .name = "get_weather", .arguments = "{\"city\": \"Paris\"}"}};
  answer.generated.finish_reason = FinishReason::kStop;
  answer.generated.usage.generated_tokens = 49;  // with the marker that ends the turn
  answer.generated.usage.reasoning_tokens = 9;
  return answer;
}

std::string streamed(AnswerWriter& writer) {
  std::string text = writer.begin(kFacts);
  for (const AnswerEvent& event : answer_events()) text += writer.event(event);
  const std::vector<ChoiceAnswer> answers = {whole_answer()};
  return text + writer.finished(0, answers[0]) + writer.end(answers);
}

// The JSON of each event of a stream; what is no JSON ([DONE]) as a string.
std::vector<json::Value> data_of(const std::string& stream) {
  std::vector<json::Value> events;
  for (size_t at = stream.find("data: "); at != std::string::npos; at = stream.find("data: ", at + 1)) {
    const std::string line = stream.substr(at + 6, stream.find('\n', at) - at - 6);
    Result<json::Value> value = json::parse(line, "event");
    events.push_back(value.ok() ? std::move(value).value() : json::Value::string(line));
  }
  return events;
}

std::vector<std::string> names_of(const std::string& stream) {
  std::vector<std::string> names;
  for (size_t at = stream.find("event: "); at != std::string::npos; at = stream.find("event: ", at + 1)) {
    names.push_back(stream.substr(at + 7, stream.find('\n', at) - at - 7));
  }
  return names;
}

json::Value usage_of(const json::Value& body) {
  return *body.find("usage");
}

int64_t number(const json::Value& object, std::string_view key) {
  return object.find(key)->as_int().value();
}

TEST(ChatWriter, StreamsReasoningThenTextThenCalls) {
  AnswerRequest request;
  request.include_usage = true;
  const auto writer = chat_completion_writer(request);
  const std::vector<json::Value> events = data_of(streamed(*writer));
  std::string order;
  for (const json::Value& event : events) {
    if (!event.is_object() || event.find("choices")->items().empty()) continue;
    EXPECT_EQ(event.find("id")->as_string(), "id_1");
    EXPECT_TRUE(event.find("usage")->is_null());
    const json::Value& choice = event.find("choices")->items()[0];
    for (const auto& [key, value] : choice.find("delta")->members()) order += key + " ";
    if (!choice.find("finish_reason")->is_null()) order += choice.find("finish_reason")->as_string();
  }
  EXPECT_EQ(order,
            "role content reasoning_content reasoning_content content tool_calls tool_calls tool_calls tool_calls");
  const json::Value usage = usage_of(events[events.size() - 2]);
  EXPECT_TRUE(events[events.size() - 2].find("choices")->items().empty());
  EXPECT_EQ(number(usage, "completion_tokens"), 48);
  EXPECT_EQ(number(usage, "total_tokens"), 412 + 48);
  EXPECT_EQ(number(usage, "prompt_cache_hit_tokens") + number(usage, "prompt_cache_miss_tokens"), 412);
  EXPECT_EQ(events.back().as_string(), "[DONE]");
}

TEST(ChatWriter, WithoutIncludeUsageThereIsNone) {
  const auto writer = chat_completion_writer(AnswerRequest());
  EXPECT_THAT(streamed(*writer), ::testing::Not(HasSubstr("usage")));
}

TEST(ChatWriter, WholeAnswerHasTheSameParts) {
  const auto writer = chat_completion_writer(AnswerRequest());
  const std::vector<ChoiceAnswer> answers = {whole_answer()};
  const json::Value body = writer->whole(kFacts, answers);
  const json::Value& choice = body.find("choices")->items()[0];
  EXPECT_EQ(choice.find("finish_reason")->as_string(), "tool_calls");
  EXPECT_EQ(choice.find("message")->find("content")->as_string(), "Checking.");
  EXPECT_EQ(choice.find("message")->find("reasoning_content")->as_string(), "Look it up.");
  EXPECT_EQ(choice.find("message")->find("tool_calls")->items()[0].find("id")->as_string(), "call_0");
}

TEST(ChatWriter, AnAnswerThatIsCutEndsAsLength) {
  ChoiceAnswer cut = whole_answer();
  cut.generated.finish_reason = FinishReason::kLength;
  EXPECT_EQ(openai_finish_reason(cut.generated), "length");
  EXPECT_EQ(completion_tokens(cut.generated), 49);  // it did not come to the marker
}

TEST(MessagesWriter, BlocksDoNotOverlapAndSignaturesComeLast) {
  const auto writer = messages_writer(AnswerRequest(), "req_1");
  const std::string stream = streamed(*writer);
  EXPECT_THAT(names_of(stream),
              ElementsAre("message_start", "content_block_start", "content_block_delta", "content_block_delta",
                          "content_block_delta", "content_block_stop", "content_block_start", "content_block_delta",
                          "content_block_stop", "content_block_start", "content_block_delta", "content_block_delta",
                          "content_block_stop", "message_delta", "message_stop"));
  const std::vector<json::Value> events = data_of(stream);
  EXPECT_EQ(number(usage_of(*events[0].find("message")), "input_tokens"), 28);
  EXPECT_EQ(number(usage_of(*events[0].find("message")), "cache_read_input_tokens"), 384);
  EXPECT_EQ(events[4].find("delta")->find("type")->as_string(), "signature_delta");
  EXPECT_EQ(events[13].find("delta")->find("stop_reason")->as_string(), "tool_use");
  EXPECT_EQ(number(usage_of(events[13]), "output_tokens"), 48);
  int64_t index = 0;
  for (const json::Value& event : events) {
    if (event.find("index") == nullptr) continue;
    EXPECT_TRUE(number(event, "index") == index || number(event, "index") == index + 1);
    index = number(event, "index");
  }
}

TEST(MessagesWriter, InputOfACallIsAnObject) {
  const auto writer = messages_writer(AnswerRequest(), "req_1");
  const std::vector<ChoiceAnswer> answers = {whole_answer()};
  const json::Value body = writer->whole(kFacts, answers);
  const json::Value& call = body.find("content")->items().back();
  EXPECT_EQ(call.find("input")->find("city")->as_string(), "Paris");
  EXPECT_EQ(body.find("content")->items()[1].find("citations"), nullptr);
}

TEST(ResponsesWriter, NumbersCountUpAndItemsAreWholeAtTheEnd) {
  const json::Value body = json::parse(R"({"input":"x","store":false})", "body").value();
  RequestDefaults defaults;
  auto request = parse_responses(body, defaults);
  ASSERT_TRUE(request.ok());
  const auto writer = responses_writer(*request);
  const std::vector<json::Value> events = data_of(streamed(*writer));
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(number(events[i], "sequence_number"), static_cast<int64_t>(i));
  EXPECT_EQ(events.front().find("type")->as_string(), "response.created");
  EXPECT_EQ(events.back().find("type")->as_string(), "response.completed");
  const json::Value& output = *events.back().find("response")->find("output");
  ASSERT_EQ(output.items().size(), 3u);
  EXPECT_EQ(output.items()[0].find("type")->as_string(), "reasoning");
  EXPECT_EQ(output.items()[1].find("content")->items()[0].find("text")->as_string(), "Checking.");
  EXPECT_EQ(output.items()[2].find("arguments")->as_string(), "{\"city\": \"Paris\"}");
  EXPECT_EQ(number(usage_of(*events.back().find("response")), "output_tokens"), 48);
}

TEST(ResponsesWriter, ACustomToolSpeaksInText) {
  const json::Value body =
      json::parse(R"({"input":"x","tools":[{"type":"custom","name":"get_weather"}]})", "body").value();
  auto request = parse_responses(body, RequestDefaults());
  ASSERT_TRUE(request.ok()) << request.error().message;
  const auto writer = responses_writer(*request);
  std::string stream = writer->begin(kFacts) + writer->event(event_of(Kind::kCallBegin, "get_weather", 0));
  stream += writer->event(event_of(Kind::kCallArguments, R"({"input": "rain?"})", 0));
  stream += writer->event(event_of(Kind::kCallEnd, "", 0));
  const std::vector<json::Value> events = data_of(stream);
  EXPECT_EQ(events.back().find("item")->find("type")->as_string(), "custom_tool_call");
  EXPECT_EQ(events.back().find("item")->find("input")->as_string(), "rain?");
}

TEST(OllamaWriter, FramesAreLinesAndTheLastIsDone) {
  const auto writer = ollama_writer(OllamaForm::kChat, "m", [] { return std::string("now"); });
  const std::string stream = streamed(*writer);
  std::vector<json::Value> frames;
  for (size_t at = 0; at < stream.size();) {
    const size_t end = stream.find('\n', at);
    ASSERT_NE(end, std::string::npos) << "the last line is not ended";
    frames.push_back(json::parse(stream.substr(at, end - at), "frame").value());
    at = end + 1;
  }
  EXPECT_EQ(frames[0].find("message")->find("thinking")->as_string(), "Look ");
  EXPECT_EQ(frames[2].find("message")->find("content")->as_string(), "Checking.");
  const json::Value& call = frames[3].find("message")->find("tool_calls")->items()[0];
  EXPECT_EQ(call.find("function")->find("arguments")->find("city")->as_string(), "Paris");
  EXPECT_TRUE(frames.back().find("done")->as_bool());
  EXPECT_EQ(number(frames.back(), "eval_count"), 48);
}

TEST(Logprobs, TokensThatAreNoCharactersAreShownByTheirBytes) {
  LoggedToken token;
  token.bytes = "\xc3";
  token.logprob = -20000;
  const json::Value entry = openai_logprobs(std::span(&token, 1)).find("content")->items()[0];
  EXPECT_EQ(entry.find("token")->as_string(), "\\xc3");
  EXPECT_EQ(entry.find("bytes")->items()[0].as_int(), 0xc3);
  EXPECT_EQ(entry.find("logprob")->as_double(), -9999.0);
}

TEST(Errors, EachApiHasItsForm) {
  const ApiError error = invalid_value("temperature", "'temperature' must be from 0 to 2");
  EXPECT_EQ(json::dump(openai_error(error)),
            R"({"error":{"message":"'temperature' must be from 0 to 2","type":"invalid_request_error",)"
            R"("param":"temperature","code":"invalid_value"}})");
  EXPECT_EQ(json::dump(anthropic_error({.status = 429, .message = "slow"}, "req_1")),
            R"({"type":"error","error":{"type":"rate_limit_error","message":"slow"},"request_id":"req_1"})");
  EXPECT_EQ(json::dump(ollama_error(error)), R"({"error":"'temperature' must be from 0 to 2"})");
  // What went wrong inside stays inside.
  EXPECT_EQ(of_error({.code = ErrorCode::kIo, .what = "secret path", .in = "/x", .want = "", .found = "", .hint = ""})
                .message,
            "the engine stopped this request");
}

}  // namespace
}  // namespace hadal::api
