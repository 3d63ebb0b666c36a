// One answer: from prompt tokens to reasoning, text and tool calls, with its end and its bill.
//
//   prompt --(what the sequence has already is kept)--> engine --> logits --> Sampler --> token
//                                                                     token --> OutputParser, or StreamDecoder (raw)
//                                                                           --> StopMatcher --> events
//
// Generation is the logic of one answer and drives nothing: whoever steps the engine (one loop for many sequences)
// hands it the logits. generate() is that loop for a single sequence. No terminal, no HTTP, no clock of its own.
//
// Stop strings are looked for in the answer, not in the reasoning: a stop string that the model thinks about would end
// the turn before it said anything.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/engine.h"
#include "prompt/message.h"
#include "prompt/output_event.h"
#include "prompt/output_parser.h"
#include "sampling/sampler.h"
#include "sampling/stop_matcher.h"

namespace hadal {

struct GenerationOptions {
  SamplingOptions sampling;
  int64_t max_tokens = -1;  // of the answer, reasoning included; -1: until the context is full
  std::vector<std::string> stop;
  bool raw = false;                  // plain completion: all text is content, markers of the format are dropped
  bool starts_in_reasoning = false;  // as Prompt says
  json::Value tools;                 // the request's list, or null
};

enum class FinishReason {
  kStop,        // the model ended its turn
  kStopString,  // the text reached a stop string, which is cut off
  kLength,      // max_tokens, or the context is full
  kCancelled,
};
std::string_view finish_reason_name(FinishReason reason);  // "stop", "stop_string", "length", "cancelled"

struct GenerationUsage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;     // of the prompt: not computed again
  int64_t generated_tokens = 0;  // reasoning and the final marker included
  int64_t reasoning_tokens = 0;
  double prompt_s = 0;                    // from the start to the logits of the first token
  double generate_s = 0;                  // from there to the end
  double prompt_tokens_per_s() const;     // of those that were computed; 0 when there is nothing to divide
  double generated_tokens_per_s() const;  // of those behind the first
};

// Whether a model can read and write text at all. NotFound: it came without tokenizer.json.
[[nodiscard]] Result<void> check_tokenizer(const LoadedModel& model);

// Gets an answer while it is made; references are valid during the call only.
class GenerationObserver {
 public:
  virtual ~GenerationObserver() = default;
  virtual void prompt_progress(int64_t /*done*/, int64_t /*total*/) {}  // tokens of the prompt; cached ones are done
  virtual void token(const Sampled& /*sampled*/) {}                     // each token, before its events
  virtual void event(const OutputEvent& event) = 0;
};

class Generation {
 public:
  // Queues what the sequence does not have yet: the longest common prefix of its tokens and the prompt is kept, the
  // rest of the sequence is forgotten. Engine and observer must outlive the object. Errors: Invalid (empty prompt,
  // sampling option out of range), NotFound (no tokenizer), Limit (prompt longer than the context, stop strings).
  static Result<Generation> start(Engine& engine, SequenceId id, std::span<const TokenId> prompt,
                                  const GenerationOptions& options, double now_s, GenerationObserver& observer);

  // The logits behind the last queued token: draws a token and either queues it or ends. Not after the end.
  Result<void> take_logits(std::span<const float> logits, SamplingWork& work, double now_s);
  // Tells the observer how far the prompt is; after each step that brought no logits.
  void report_progress();
  // Ends the answer here. What is queued stays queued; the next start drops it. Nothing after the end.
  void cancel(double now_s);

  bool is_done() const { return finish_.has_value(); }
  FinishReason finish_reason() const { return finish_.value_or(FinishReason::kCancelled); }
  // The answer so far: reasoning, content without a stop string, complete calls.
  const Message& message() const { return message_; }
  const GenerationUsage& usage() const { return usage_; }

 private:
  Generation(Engine& engine, SequenceId id, const GenerationOptions& options, StopMatcher stops,
             GenerationObserver& observer);
  void take_token(TokenId token);
  void take_events(const std::vector<OutputEvent>& events);
  void take_content(std::string_view text);
  void emit_content(std::string text);
  void finish(FinishReason reason, double now_s);
  bool is_full() const;

  Engine* engine_;
  GenerationObserver* observer_;
  SequenceId id_;
  GenerationOptions options_;
  Sampler sampler_;
  StopMatcher stops_;
  std::optional<OutputParser> parser_;    // unless raw
  std::optional<StreamDecoder> decoder_;  // raw
  std::optional<TokenId> eos_;
  Message message_;
  GenerationUsage usage_;
  std::optional<FinishReason> finish_;
  double begin_s_ = 0;
  double first_s_ = 0;
};

struct GenerationControl {
  std::function<double()> now_s;       // seconds of a clock that does not go back
  std::function<bool()> is_cancelled;  // asked between steps; may be empty
};

struct Generated {
  Message message;
  FinishReason finish_reason = FinishReason::kStop;
  GenerationUsage usage;
};

// Steps the engine until the answer ends. No other sequence may have tokens queued.
Result<Generated> generate(Engine& engine, SequenceId id, std::span<const TokenId> prompt,
                           const GenerationOptions& options, const GenerationControl& control,
                           GenerationObserver& observer);

}  // namespace hadal
