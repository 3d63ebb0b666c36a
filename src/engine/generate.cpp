#include "engine/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "prompt/markers.h"

namespace hadal {
namespace {

Error empty_prompt() {
  return {.code = ErrorCode::kInvalid,
          .what = "the prompt is empty",
          .in = "prompt",
          .want = "at least one token",
          .found = "none",
          .hint = ""};
}

// How much of the prompt the sequence may keep: all that is equal, but never the whole prompt, because the logits
// behind its last token are wanted.
int64_t reusable_tokens(std::span<const TokenId> have, std::span<const TokenId> prompt) {
  const auto differ = std::mismatch(have.begin(), have.end(), prompt.begin(), prompt.end());
  const auto common = static_cast<int64_t>(differ.second - prompt.begin());
  return std::min(common, static_cast<int64_t>(prompt.size()) - 1);
}

double per_second(int64_t n, double seconds) {
  return n > 0 && seconds > 0 ? static_cast<double>(n) / seconds : 0.0;
}

}  // namespace

Result<void> check_tokenizer(const LoadedModel& model) {
  if (model.tokenizer) return {};
  return Error{.code = ErrorCode::kNotFound,
               .what = "the model has no tokenizer",
               .in = model.files.place(),
               .want = "tokenizer.json beside the weights",
               .found = "none",
               .hint = "compare and bench work without one; text needs it"};
}

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kStopString:
      return "stop_string";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "?";
}

double GenerationUsage::prompt_tokens_per_s() const {
  return per_second(prompt_tokens - cached_tokens, prompt_s);
}
double GenerationUsage::generated_tokens_per_s() const {
  return per_second(generated_tokens - 1, generate_s);
}

Generation::Generation(Engine& engine, SequenceId id, const GenerationOptions& options, StopMatcher stops,
                       GenerationObserver& observer)
    : engine_(&engine),
      observer_(&observer),
      id_(id),
      options_(options),
      sampler_(options.sampling, engine.model().description.vocab_size),
      stops_(std::move(stops)) {
  const Tokenizer& tokenizer = *engine.model().tokenizer;
  if (options.raw) {
    decoder_.emplace(tokenizer, true);
  } else {
    parser_.emplace(tokenizer, engine.model().prompt_encoding, options.starts_in_reasoning, options.tools);
  }
  if (engine.model().description.eos_token_id >= 0) eos_ = engine.model().description.eos_token_id;
  end_think_ = tokenizer.added_token(marker::kEndThink);
  call_marker_ = tokenizer.added_token(marker::kDsml);
  if (options.grammar != nullptr) matcher_.emplace(options.grammar);
  message_.role = Role::kAssistant;
}

Result<Generation> Generation::start(Engine& engine, SequenceId id, std::span<const TokenId> prompt,
                                     const GenerationOptions& options, double now_s, GenerationObserver& observer) {
  HADAL_TRY(check_tokenizer(engine.model()));
  if (prompt.empty()) return empty_prompt();
  HADAL_TRY(check(options.sampling, engine.model().description.vocab_size));
  HADAL_ASSIGN(StopMatcher stops, StopMatcher::create(options.stop));
  const auto n = static_cast<int64_t>(prompt.size());
  if (n > engine.options().context_tokens) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "the prompt is longer than the context",
                 .in = "prompt",
                 .want = fmt::format("at most {} tokens", engine.options().context_tokens),
                 .found = fmt::format("{} tokens", n),
                 .hint = fmt::format("a larger --context (this model allows {}), or a shorter prompt",
                                     engine.model().description.context_tokens_max)};
  }

  Generation generation(engine, id, options, std::move(stops), observer);
  const int64_t kept = reusable_tokens(engine.tokens(id), prompt);
  // Also drops what a cancelled answer left in the queue.
  HADAL_ASSIGN(const int64_t replayed, engine.truncate(id, kept));
  HADAL_TRY(engine.submit(id, prompt.subspan(static_cast<size_t>(kept)), LogitsWanted::kLast));
  generation.sampler_.begin(prompt);
  generation.usage_.prompt_tokens = n;
  generation.usage_.cached_tokens = kept - replayed;
  generation.begin_s_ = now_s;
  generation.report_progress();
  return generation;
}

Result<Generation> Generation::branch(const Generation& first, SequenceId id, std::span<const TokenId> prompt,
                                      uint64_t seed, GenerationObserver& observer) {
  GenerationOptions options = first.options_;
  options.sampling.seed = seed;
  HADAL_ASSIGN(StopMatcher stops, StopMatcher::create(options.stop));
  Generation generation(*first.engine_, id, options, std::move(stops), observer);
  generation.sampler_.begin(prompt);
  generation.usage_ = first.usage_;
  generation.begin_s_ = first.begin_s_;
  return generation;
}

Result<void> Generation::continue_in(SequenceId id, std::span<const TokenId> prompt) {
  std::vector<TokenId> past(prompt.begin(), prompt.end());
  past.insert(past.end(), tokens_.begin(), tokens_.end());
  const auto have = static_cast<size_t>(engine_->length(id) + engine_->pending(id));
  HADAL_CHECK(have < past.size(), "nothing to go on with behind", have);
  id_ = id;
  return engine_->submit(id, std::span<const TokenId>(past).subspan(have), LogitsWanted::kLast);
}

void Generation::report_progress() {
  if (usage_.generated_tokens > 0) return;
  observer_->prompt_progress(usage_.prompt_tokens - engine_->pending(id_), usage_.prompt_tokens);
}

Result<Sampled> Generation::next_token(std::span<float> logits, SamplingWork& work) {
  const bool thinks = parser_ && parser_->in_reasoning();
  const bool has_thought_enough =
      thinks && options_.reasoning_tokens_max >= 0 && usage_.reasoning_tokens >= options_.reasoning_tokens_max;
  if (has_thought_enough && end_think_) {
    Sampled forced;
    forced.token = *end_think_;
    return forced;
  }
  for (const TokenId token : options_.banned) {
    logits[static_cast<size_t>(token)] = -std::numeric_limits<float>::infinity();
  }
  if (matcher_ && !thinks) {
    matcher_->apply_mask(logits);
  } else if (matcher_ && !matcher_->can_end() && eos_) {
    logits[static_cast<size_t>(*eos_)] = -std::numeric_limits<float>::infinity();  // the answer is still due
  }
  return sampler_.sample(logits, work);
}

// Reasoning is free. A call may begin inside it: its marker is where the grammar comes in.
Result<void> Generation::follow_grammar(TokenId token, bool was_in_reasoning) {
  if (!matcher_ || token == eos_) return {};
  bool is_allowed = true;
  if (!was_in_reasoning) {
    is_allowed = matcher_->accept(token);
  } else if (token == call_marker_) {
    is_allowed = matcher_->accept_bytes("<") && matcher_->accept(token);
  }
  if (is_allowed) return {};
  return Error{.code = ErrorCode::kInvalid,
               .what = "the answer cannot go on in its format",
               .in = "response_format",
               .want = "a token that the grammar allows",
               .found = fmt::format("token {}", token),
               .hint = ""};
}

bool Generation::is_text(TokenId token) const {
  if (engine_->model().tokenizer->is_added(token)) return false;
  return !parser_ || (!parser_->in_reasoning() && !has_markup_);
}

Result<void> Generation::take_logits(std::span<float> logits, SamplingWork& work, double now_s) {
  HADAL_CHECK(!is_done(), "logits after the end");
  if (usage_.generated_tokens == 0) {
    first_s_ = now_s;
    usage_.prompt_s = now_s - begin_s_;
    observer_->prompt_progress(usage_.prompt_tokens, usage_.prompt_tokens);
  }
  const bool was_in_reasoning = parser_ && parser_->in_reasoning();
  HADAL_ASSIGN(const Sampled sampled, next_token(logits, work));
  HADAL_TRY(follow_grammar(sampled.token, was_in_reasoning));
  sampler_.accept(sampled.token);
  tokens_.push_back(sampled.token);
  ++usage_.generated_tokens;
  if (parser_ && parser_->in_reasoning()) ++usage_.reasoning_tokens;
  observer_->token(sampled, is_text(sampled.token));
  // Of added tokens those around reasoning come before the answer; any other begins a call, or ends the turn.
  if (parser_ && !parser_->in_reasoning() && engine_->model().tokenizer->is_added(sampled.token)) has_markup_ = true;
  take_token(sampled.token);

  const bool has_ended = sampled.token == eos_ || (parser_ && parser_->is_done());
  if (stops_.has_matched()) {
    finish(FinishReason::kStopString, now_s);
  } else if (has_ended) {
    finish(FinishReason::kStop, now_s);
  } else if (is_full()) {
    finish(FinishReason::kLength, now_s);
  } else {
    HADAL_TRY(engine_->submit(id_, std::span(&sampled.token, 1), LogitsWanted::kLast));
  }
  return {};
}

Generated Generation::result() const {
  return {.message = message_,
          .finish_reason = finish_reason(),
          .usage = usage_,
          .tokens = tokens_,
          .stop_string = stops_.matched()};
}

bool Generation::is_full() const {
  const bool has_all = options_.max_tokens >= 0 && usage_.generated_tokens >= options_.max_tokens;
  return has_all || engine_->length(id_) + engine_->pending(id_) + 1 > engine_->options().context_tokens;
}

void Generation::cancel(double now_s) {
  if (!is_done()) finish(FinishReason::kCancelled, now_s);
}

void Generation::take_token(TokenId token) {
  if (parser_) {
    std::vector<OutputEvent> events;
    parser_->push(token, events);
    take_events(events);
  } else if (!engine_->model().tokenizer->is_added(token)) {
    take_content(decoder_->push(token));
  }
}

void Generation::take_events(const std::vector<OutputEvent>& events) {
  for (const OutputEvent& event : events) {
    if (stops_.has_matched()) return;
    if (event.kind == OutputEvent::Kind::kContent) {
      take_content(event.text);
      continue;
    }
    // What a stop string might have begun with stands before this event, and cannot go on behind it.
    emit_content(stops_.finish());

    if (event.kind == OutputEvent::Kind::kReasoning) message_.reasoning_content += event.text;
    observer_->event(event);
  }
}

void Generation::take_content(std::string_view text) {
  emit_content(stops_.push(text));
}

void Generation::emit_content(std::string text) {
  if (text.empty()) return;
  if (message_.content.empty()) message_.content.emplace_back();
  message_.content.front().text += text;
  observer_->event({.kind = OutputEvent::Kind::kContent, .text = std::move(text), .call_index = -1});
}

void Generation::finish(FinishReason reason, double now_s) {
  if (parser_) {
    std::vector<OutputEvent> events;
    parser_->finish(events);
    take_events(events);
    message_.tool_calls = parser_->message().tool_calls;
  } else {
    take_content(decoder_->finish());
  }
  emit_content(stops_.finish());
  if (usage_.generated_tokens > 0) {
    usage_.generate_s = now_s - first_s_;
  } else {
    usage_.prompt_s = now_s - begin_s_;
  }
  finish_ = reason;
}

namespace {

// Keeps the logits of a step until the loop can act: an observer may not submit.
class OneSequence final : public EngineObserver {
 public:
  explicit OneSequence(SequenceId id) : id_(id) {}
  void logits(SequenceId id, int64_t /*position*/, std::span<const float> logits) override {
    HADAL_CHECK(id == id_, "another sequence has tokens queued", id);
    logits_.assign(logits.begin(), logits.end());
    has_logits_ = true;
  }
  bool take() { return std::exchange(has_logits_, false); }
  std::span<float> values() { return logits_; }

 private:
  SequenceId id_;
  std::vector<float> logits_;  // [V]
  bool has_logits_ = false;
};

}  // namespace

Result<Generated> generate(Engine& engine, SequenceId id, std::span<const TokenId> prompt,
                           const GenerationOptions& options, const GenerationControl& control,
                           GenerationObserver& observer) {
  HADAL_ASSIGN(Generation generation, Generation::start(engine, id, prompt, options, control.now_s(), observer));
  OneSequence results(id);
  SamplingWork work;
  while (!generation.is_done()) {
    if (control.is_cancelled && control.is_cancelled()) {
      generation.cancel(control.now_s());
      break;
    }
    HADAL_ASSIGN(const bool has_worked, engine.step(results));
    HADAL_CHECK(has_worked, "an answer goes on but nothing is queued");
    if (results.take()) {
      HADAL_TRY(generation.take_logits(results.values(), work, control.now_s()));
    } else {
      generation.report_progress();
    }
  }
  return generation.result();
}

}  // namespace hadal
