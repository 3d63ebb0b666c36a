#include "run_report.h"

#include <fmt/format.h>

#include <span>

#include "base/format.h"
#include "base/utf8.h"

namespace hadal::cli {
namespace {

using json::Value;

Value calls_to_json(const std::vector<ToolCall>& calls) {
  Value list = Value::array();
  for (size_t i = 0; i < calls.size(); ++i) {
    Value function = Value::object();
    function.set("name", Value::string(calls[i].name));
    function.set("arguments", Value::string(calls[i].arguments));
    Value call = Value::object();
    call.set("id", Value::string(calls[i].id.empty() ? fmt::format("call_{}", i) : calls[i].id));
    call.set("type", Value::string("function"));
    call.set("function", std::move(function));
    list.push(std::move(call));
  }
  return list;
}

Value usage_to_json(const GenerationUsage& usage) {
  Value value = Value::object();
  value.set("prompt_tokens", Value::number(usage.prompt_tokens));
  value.set("cached_tokens", Value::number(usage.cached_tokens));
  value.set("completion_tokens", Value::number(usage.generated_tokens));
  value.set("reasoning_tokens", Value::number(usage.reasoning_tokens));
  value.set("total_tokens", Value::number(usage.prompt_tokens + usage.generated_tokens));
  return value;
}

Value timings_to_json(const GenerationUsage& usage, const RunTimes& times) {
  Value value = Value::object();
  value.set("load_s", Value::number(times.load_s));
  value.set("first_token_s", Value::number(times.first_token_s));
  value.set("prompt_s", Value::number(usage.prompt_s));
  value.set("generate_s", Value::number(usage.generate_s));
  value.set("prompt_tokens_per_s", Value::number(usage.prompt_tokens_per_s()));
  value.set("generated_tokens_per_s", Value::number(usage.generated_tokens_per_s()));
  return value;
}

// A token may end inside a character; its bytes say what it is exactly.
Value token_to_json(TokenId token, float logprob, const Tokenizer& tokenizer) {
  const std::string_view text = tokenizer.token_bytes(token);
  Value bytes = Value::array();
  for (const char c : text) bytes.push(Value::number(int64_t{static_cast<unsigned char>(c)}));
  Value value = Value::object();
  value.set("token", Value::string(utf8::sanitize(text)));
  value.set("id", Value::number(int64_t{token}));
  value.set("logprob", Value::number(static_cast<double>(logprob)));
  value.set("bytes", std::move(bytes));
  return value;
}

std::span<const TokenLogprob> best_of(const Sampled& sampled) {
  return std::span(sampled.top_logprobs).first(static_cast<size_t>(sampled.n_top_logprobs));
}

Value logprobs_to_json(const std::vector<Sampled>& sampled, const Tokenizer& tokenizer) {
  Value content = Value::array();
  for (const Sampled& one : sampled) {
    Value best = Value::array();
    for (const TokenLogprob& other : best_of(one)) best.push(token_to_json(other.token, other.logprob, tokenizer));
    Value value = token_to_json(one.token, one.logprob, tokenizer);
    value.set("top_logprobs", std::move(best));
    content.push(std::move(value));
  }
  Value value = Value::object();
  value.set("content", std::move(content));
  return value;
}

std::string shown(TokenId token, const Tokenizer& tokenizer) {
  return json::quote(utf8::sanitize(tokenizer.token_bytes(token)));
}

std::string speed(double tokens_per_s) {
  if (tokens_per_s <= 0) return "";
  return fmt::format(", {:.{}f} tokens/s", tokens_per_s, tokens_per_s < 10 ? 1 : 0);
}

}  // namespace

std::string speed_line(const GenerationUsage& usage) {
  const auto count = [](int64_t n) { return format_count(static_cast<uint64_t>(n)); };
  const std::string cached = usage.cached_tokens > 0 ? fmt::format(" ({} cached)", count(usage.cached_tokens)) : "";
  return fmt::format("{} tokens read{}{}; {} written{}", count(usage.prompt_tokens), cached,
                     speed(usage.prompt_tokens_per_s()), count(usage.generated_tokens),
                     speed(usage.generated_tokens_per_s()));
}

Value answer_to_json(const Generated& generated, const RunTimes& times, const std::vector<Sampled>& sampled,
                     const Tokenizer& tokenizer) {
  const Message& message = generated.message;
  const bool calls = generated.finish_reason == FinishReason::kStop && !message.tool_calls.empty();
  Value value = Value::object();
  value.set("content", Value::string(message.text()));
  value.set("reasoning_content", Value::string(message.reasoning_content));
  value.set("tool_calls", calls_to_json(message.tool_calls));
  value.set("finish_reason", Value::string(calls ? "tool_calls" : finish_reason_name(generated.finish_reason)));
  value.set("usage", usage_to_json(generated.usage));
  value.set("timings", timings_to_json(generated.usage, times));
  if (!sampled.empty()) value.set("logprobs", logprobs_to_json(sampled, tokenizer));
  return value;
}

std::string logprobs_table(const std::vector<Sampled>& sampled, const Tokenizer& tokenizer) {
  std::string table;
  for (const Sampled& one : sampled) {
    table += fmt::format("{:<20} {:>8.4f}", shown(one.token, tokenizer), one.logprob);
    for (const TokenLogprob& other : best_of(one)) {
      table += fmt::format("  {} {:.4f}", shown(other.token, tokenizer), other.logprob);
    }
    table += "\n";
  }
  return table;
}

}  // namespace hadal::cli
