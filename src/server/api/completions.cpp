#include "server/api/completions.h"

#include <fmt/format.h>

#include <limits>

#include "base/utf8.h"
#include "server/api/fields.h"

namespace hadal::api {
namespace {

using json::Value;
constexpr int64_t kDefaultMaxTokens = 16;  // OpenAI's

std::optional<ApiError> read_prompt(const Fields& fields, const RequestDefaults& defaults, AnswerRequest& request) {
  const Value* prompt = fields.find("prompt");
  if (prompt == nullptr) return missing_parameter("prompt");
  request.raw.emplace();
  if (prompt->is_array() && prompt->items().size() == 1 && !prompt->items()[0].is_number()) {
    prompt = &prompt->items()[0];  // a list of one prompt
  }
  if (prompt->is_string()) {
    request.raw->text = prompt->as_string();
    return std::nullopt;
  }
  if (!prompt->is_array()) return fields.wrong_kind("prompt", "a string or an array of token ids");
  std::vector<TokenId> ids;
  for (const Value& item : prompt->items()) {
    if (!item.is_number()) {
      return unsupported_parameter("prompt", "several prompts in one request are not supported; send one request each");
    }
    const std::optional<int64_t> id = item.as_int();
    if (!id || *id < 0 || *id >= defaults.vocab_size) {
      return invalid_value("prompt",
                           fmt::format("token ids of 'prompt' must be from 0 to {}", defaults.vocab_size - 1));
    }
    ids.push_back(static_cast<TokenId>(*id));
  }
  if (ids.empty()) return invalid_value("prompt", "'prompt' must not be empty");
  request.raw->text = std::move(ids);
  return std::nullopt;
}

class CompletionWriter final : public AnswerWriter {
 public:
  explicit CompletionWriter(const AnswerRequest& request)
      : include_usage_(request.include_usage), has_logprobs_(request.sampling.logprobs.has_value()) {
    const auto* text = std::get_if<std::string>(&request.raw->text);
    if (request.echo && text != nullptr) echoed_ = *text;
    if (text != nullptr) offset_ = characters(*text);
    offsets_.assign(static_cast<size_t>(request.n), offset_);
  }

  std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }
  std::string keep_alive() const override { return ": keep-alive\n\n"; }
  std::string begin(const AnswerFacts& facts) override {
    facts_ = facts;
    std::string text;
    for (size_t choice = 0; choice < offsets_.size() && !echoed_.empty(); ++choice) {
      text += chunk(static_cast<int>(choice), echoed_, Value(), Value());
    }
    return text;
  }
  std::string event(const AnswerEvent& e) override {
    if (e.event.kind != OutputEvent::Kind::kContent) return "";
    return chunk(e.choice, e.event.text, logprobs(static_cast<size_t>(e.choice), e.logged), Value());
  }
  std::string finished(int choice, const ChoiceAnswer& answer) override {
    return chunk(choice, "", Value(), Value::string(openai_finish_reason(answer.generated)));
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
      list.push(entry(static_cast<int>(i), echoed_ + text_of(choices[i].generated.message),
                      logprobs(i, choices[i].logged), Value::string(openai_finish_reason(choices[i].generated))));
    }
    Value body = frame();
    body.set("choices", std::move(list)).set("usage", openai_usage(facts, choices));
    return body;
  }

 private:
  static int64_t characters(std::string_view text) {
    int64_t n = 0;
    for (const char c : text) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
    return n;
  }

  Value logprobs(size_t choice, std::span<const LoggedToken> tokens) {
    if (!has_logprobs_) return Value();
    Value texts = Value::array(), values = Value::array(), tops = Value::array(), offsets = Value::array();
    for (const LoggedToken& token : tokens) {
      texts.push(Value::string(shown_bytes(token.bytes)));
      values.push(Value::number(std::max(token.logprob, -9999.0)));
      Value top = Value::object();
      for (const TextLogprob& best : token.top) {
        top.set(shown_bytes(best.bytes), Value::number(std::max(best.logprob, -9999.0)));
      }
      tops.push(std::move(top));
      offsets.push(Value::number(offsets_[choice]));
      offsets_[choice] += characters(token.bytes);
    }
    Value all = Value::object();
    all.set("tokens", std::move(texts))
        .set("token_logprobs", std::move(values))
        .set("top_logprobs", std::move(tops))
        .set("text_offset", std::move(offsets));
    return all;
  }

  Value frame() const {
    Value body = Value::object();
    body.set("id", Value::string(facts_.id))
        .set("object", Value::string("text_completion"))
        .set("created", Value::number(facts_.created_s))
        .set("model", Value::string(facts_.model))
        .set("system_fingerprint", Value::string(facts_.fingerprint));
    return body;
  }
  static Value entry(int choice, std::string_view text, Value logged, Value finish_reason) {
    Value one = Value::object();
    one.set("index", Value::number(static_cast<int64_t>(choice)))
        .set("text", Value::string(text))
        .set("logprobs", std::move(logged))
        .set("finish_reason", std::move(finish_reason));
    return one;
  }
  std::string chunk(int choice, std::string_view text, Value logged, Value finish_reason) const {
    Value body = frame();
    body.set("choices", Value::array({entry(choice, text, std::move(logged), std::move(finish_reason))}));
    if (include_usage_) body.set("usage", Value());
    return sse("", body);
  }

  bool include_usage_;
  bool has_logprobs_;
  std::string echoed_;
  int64_t offset_ = 0;
  std::vector<int64_t> offsets_;  // of the next token in the text, by choice
  AnswerFacts facts_;
};

}  // namespace

ApiResult<AnswerRequest> parse_completion(const Value& body, const RequestDefaults& defaults) {
  const Fields fields(body);
  AnswerRequest request;
  HADAL_API_ASSIGN(const std::optional<std::string> model, fields.string("model"));
  request.model = model.value_or("");
  if (auto error = read_prompt(fields, defaults, request)) return *error;
  HADAL_API_ASSIGN(request.raw->suffix, fields.string("suffix"));
  if (auto error = read_sampling(fields, defaults, request)) return *error;
  HADAL_API_ASSIGN(const std::optional<int64_t> limit,
                   fields.integer("max_tokens", 1, std::numeric_limits<int32_t>::max()));
  request.max_tokens = limit.value_or(kDefaultMaxTokens);
  HADAL_API_ASSIGN(const std::optional<int64_t> n, fields.integer("n", 1, 16));
  request.n = static_cast<int>(n.value_or(1));
  HADAL_API_ASSIGN(const std::optional<int64_t> best_of, fields.integer("best_of", 1, 16));
  if (best_of && *best_of != request.n) return unsupported_parameter("best_of", "'best_of' is not supported");
  HADAL_API_ASSIGN(const std::optional<int64_t> logprobs, fields.integer("logprobs", 0, kTopLogprobsMax));
  if (logprobs) request.sampling.logprobs = static_cast<int>(*logprobs);
  HADAL_API_ASSIGN(const std::optional<bool> echo, fields.boolean("echo"));
  request.echo = echo.value_or(false);
  if (request.echo && request.raw->suffix) return invalid_value("echo", "'echo' and 'suffix' exclude each other");
  if (request.echo && std::holds_alternative<std::vector<TokenId>>(request.raw->text)) {
    return unsupported_parameter("echo", "'echo' needs a prompt that is a string");
  }
  HADAL_API_ASSIGN(const Value* options, fields.object("stream_options"));
  if (options != nullptr) {
    HADAL_API_ASSIGN(const std::optional<bool> usage, Fields(*options, "stream_options.").boolean("include_usage"));
    request.include_usage = usage.value_or(false);
  }
  return request;
}

std::unique_ptr<AnswerWriter> completion_writer(const AnswerRequest& request) {
  return std::make_unique<CompletionWriter>(request);
}

}  // namespace hadal::api
