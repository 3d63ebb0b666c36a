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
#include "constrain/machine.h"
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
  std::vector<TokenId> banned;       // never drawn
  // What the answer behind the reasoning has to be; null: anything.
  std::shared_ptr<constrain::GrammarMachine> grammar;
  // After so many tokens of reasoning </think> comes next, whatever the model wants; -1: when it wants.
  int64_t reasoning_tokens_max = -1;
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
  // Each token, before its events. is_text: it is part of the answer's visible text, as far as one token can be.
  virtual void token(const Sampled& /*sampled*/, bool /*is_text*/) {}
  virtual void event(const OutputEvent& event) = 0;
};

struct Generated {
  Message message;
  FinishReason finish_reason = FinishReason::kStop;
  GenerationUsage usage;
  std::vector<TokenId> tokens;  // the final marker included
  int stop_string = -1;         // with kStopString: which of the options'
};

class Generation {
 public:
  // Queues what the sequence does not have yet: the longest common prefix of its tokens and the prompt is kept, the
  // rest of the sequence is forgotten. Engine and observer must outlive the object. Errors: Invalid (empty prompt,
  // sampling option out of range), NotFound (no tokenizer), Limit (prompt longer than the context, stop strings).
  static Result<Generation> start(Engine& engine, SequenceId id, std::span<const TokenId> prompt,
                                  const GenerationOptions& options, double now_s, GenerationObserver& observer);

  // Another answer to the same prompt, from a fork of a sequence in front of its first token: takes over what the first
  // answer has counted of the prompt, and gets the same logits.
  static Result<Generation> branch(const Generation& first, SequenceId id, std::span<const TokenId> prompt,
                                   uint64_t seed, GenerationObserver& observer);

  // The logits behind the last queued token: draws a token and either queues it or ends. Banned tokens are set to
  // -infinity in place. Not after the end.
  Result<void> take_logits(std::span<float> logits, SamplingWork& work, double now_s);
  // Goes on in another sequence, whose past is a prefix of prompt + tokens(): queues the rest. The old one is not used
  // again. Errors: of Engine::submit.
  Result<void> continue_in(SequenceId id, std::span<const TokenId> prompt);
  // Tells the observer how far the prompt is; after each step that brought no logits.
  void report_progress();
  // Ends the answer here. What is queued stays queued; the next start drops it. Nothing after the end.
  void cancel(double now_s);

  bool is_done() const { return finish_.has_value(); }
  FinishReason finish_reason() const { return finish_.value_or(FinishReason::kCancelled); }
  // Everything about it, as far as it has come.
  Generated result() const;
  // The answer so far: reasoning, content without a stop string, complete calls.
  const Message& message() const { return message_; }
  const GenerationUsage& usage() const { return usage_; }
  // What was drawn or forced, in order, the final marker included.
  const std::vector<TokenId>& tokens() const { return tokens_; }

 private:
  Generation(Engine& engine, SequenceId id, const GenerationOptions& options, StopMatcher stops,
             GenerationObserver& observer);
  Result<Sampled> next_token(std::span<float> logits, SamplingWork& work);
  Result<void> follow_grammar(TokenId token, bool was_in_reasoning);
  bool is_text(TokenId token) const;
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
  std::optional<TokenId> end_think_;
  std::optional<TokenId> call_marker_;
  std::optional<constrain::GrammarMatcher> matcher_;
  std::vector<TokenId> tokens_;
  bool has_markup_ = false;  // of a call: what follows is no visible text
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

// Steps the engine until the answer ends. No other sequence may have tokens queued.
Result<Generated> generate(Engine& engine, SequenceId id, std::span<const TokenId> prompt,
                           const GenerationOptions& options, const GenerationControl& control,
                           GenerationObserver& observer);

}  // namespace hadal
