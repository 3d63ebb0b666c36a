#include "server/api/answer_writer.h"

#include <fmt/format.h>

#include <random>

#include "base/utf8.h"

namespace hadal::api {

using json::Value;

std::string mint_id(std::string_view prefix) {
  std::random_device device;  // the system's generator: not to be predicted
  std::string id(prefix);
  for (int i = 0; i < 4; ++i) id += fmt::format("{:08x}", static_cast<uint32_t>(device()));
  return id;
}

std::string sse(std::string_view event, const Value& data) {
  std::string text;
  if (!event.empty()) text += fmt::format("event: {}\n", event);
  return text + "data: " + json::dump(data) + "\n\n";
}

int64_t completion_tokens(std::span<const ChoiceAnswer> choices) {
  int64_t n = 0;
  for (const ChoiceAnswer& choice : choices) n += completion_tokens(choice.generated);
  return n;
}

// The marker that ends a turn is none of its tokens.
int64_t completion_tokens(const Generated& generated) {
  return generated.usage.generated_tokens - (generated.finish_reason == FinishReason::kStop ? 1 : 0);
}

int64_t reasoning_tokens(std::span<const ChoiceAnswer> choices) {
  int64_t n = 0;
  for (const ChoiceAnswer& choice : choices) n += choice.generated.usage.reasoning_tokens;
  return n;
}

std::string_view openai_finish_reason(const Generated& generated) {
  const bool is_cut =
      generated.finish_reason == FinishReason::kLength || generated.finish_reason == FinishReason::kCancelled;
  if (is_cut) return "length";
  return generated.message.tool_calls.empty() ? "stop" : "tool_calls";
}

Value openai_usage(const AnswerFacts& facts, std::span<const ChoiceAnswer> choices) {
  const int64_t completion = completion_tokens(choices);
  Value usage = Value::object();
  usage.set("prompt_tokens", Value::number(facts.prompt_tokens))
      .set("completion_tokens", Value::number(completion))
      .set("total_tokens", Value::number(facts.prompt_tokens + completion))
      .set("prompt_cache_hit_tokens", Value::number(facts.cached_tokens))
      .set("prompt_cache_miss_tokens", Value::number(facts.prompt_tokens - facts.cached_tokens))
      .set("prompt_tokens_details", Value::object({{"cached_tokens", Value::number(facts.cached_tokens)}}))
      .set("completion_tokens_details",
           Value::object({{"reasoning_tokens", Value::number(reasoning_tokens(choices))}}));
  return usage;
}

std::string shown_bytes(std::string_view bytes) {
  if (utf8::is_valid(bytes)) return std::string(bytes);
  std::string shown;
  for (const char c : bytes) shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return shown;
}

namespace {

Value logprob_entry(const TextLogprob& token) {
  Value bytes = Value::array();
  for (const char c : token.bytes) bytes.push(Value::number(static_cast<int64_t>(static_cast<unsigned char>(c))));
  Value entry = Value::object();
  entry.set("token", Value::string(shown_bytes(token.bytes)))
      .set("logprob", Value::number(std::max(token.logprob, -9999.0)))
      .set("bytes", std::move(bytes));
  return entry;
}

}  // namespace

Value openai_logprobs(std::span<const LoggedToken> tokens) {
  Value content = Value::array();
  for (const LoggedToken& token : tokens) {
    Value top = Value::array();
    for (const TextLogprob& best : token.top) top.push(logprob_entry(best));
    Value entry = logprob_entry(token);
    entry.set("top_logprobs", std::move(top));
    content.push(std::move(entry));
  }
  return Value::object({{"content", std::move(content)}, {"refusal", Value()}});
}

std::string text_of(const Message& message) {
  std::string text;
  for (const ContentPart& part : message.content) text += part.text;
  return text;
}

}  // namespace hadal::api
