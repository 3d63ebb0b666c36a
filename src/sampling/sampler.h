// One step of decoding: from the logits of a position to its token.
//
// Order of operations, with the reason for each place:
//   1. repetition penalty            divides or multiplies by the sign of the raw logit, so nothing may shift it before
//   2. presence, frequency penalty   differences of logits: after what scales them
//   3. logit bias                    the caller's last word about a token, so no penalty scales it
//   4. temperature                   z / T; what is cut below is the distribution that the user asked for
//   5. top-k    6. top-p of what top-k left    7. min-p relative to the best token
//   8. a draw among what is left, by random_bits(seed, number of tokens accepted so far)
// OpenAI, vLLM, transformers and Ollama put the temperature before top-p as well; llama.cpp by default puts it last.
// A grammar's mask is not an option: the caller writes -infinity over the logits that are not allowed.
//
// Repeatable: same options, history and logits give the same token on every machine (weights.h says how). sample() does
// not advance anything, accept() does, so a step may be sampled twice, verified or thrown away.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "sampling/options.h"
#include "sampling/penalties.h"
#include "sampling/truncation.h"

namespace hadal {

struct TokenLogprob {
  TokenId token = -1;
  float logprob = 0;  // natural logarithm
};

struct Sampled {
  TokenId token = -1;
  // Log-probabilities are those of the model: log-softmax of the logits as they came, at temperature 1, before
  // penalties, bias and truncation (vLLM's "raw_logprobs"; a mask counts, as it came with the logits). Only when
  // options.logprobs is set; the best tokens come best first, the lower id first among equals, and need not hold
  // `token`.
  float logprob = 0;
  int n_top_logprobs = 0;  // at most options.logprobs; fewer when fewer tokens are allowed
  std::array<TokenLogprob, kTopLogprobsMax> top_logprobs = {};
};

// Buffers of one step, to be shared by all samplers of a thread: about 45 bytes a token of the vocabulary with all
// options in use, 80 when top_k is nearly the vocabulary. They grow in the first call and are not allocated again.
class SamplingWork {
 public:
  uint64_t memory_bytes() const;

 private:
  friend class Sampler;
  std::vector<float> logits_;        // [V] after penalties and bias
  std::vector<RankedLogit> ranked_;  // what top-k leaves, in order of ids; the best log-probabilities
  std::vector<RankedLogit> spare_ranked_;
  std::vector<float> ranked_logits_;   // those of ranked_
  std::vector<uint64_t> weights_;      // of all tokens, or of ranked_
  std::vector<Candidate> candidates_;  // what top-p and min-p may leave; id is an index into weights_
  std::vector<Candidate> spare_candidates_;
};

// One sequence's options, history and place in the random numbers. Not thread-safe; a plain value.
class Sampler {
 public:
  // The options have passed check(options, vocab_size).
  Sampler(const SamplingOptions& options, int64_t vocab_size);

  // A new answer begins after these tokens. Penalties start anew; the random numbers go on. O(prompt).
  void begin(std::span<const TokenId> prompt);

  // The next token for logits [V]. Errors: Corrupt when a logit is NaN or +infinity (after penalties, too) or when no
  // token is allowed. Cost: one pass over the logits when greedy, else one or two more; log-probabilities add two.
  Result<Sampled> sample(std::span<const float> logits, SamplingWork& work) const;

  // The sequence goes on with this token, sampled or forced. O(1).
  void accept(TokenId token);

  // All that a resumed sequence needs beside its options: version, seed, counters, tokens. 8 bytes a token.
  std::vector<uint64_t> save() const;
  // Takes the words of save(), seed included. Errors: Corrupt when they are not such words or name tokens outside the
  // vocabulary; the sampler is unchanged then.
  [[nodiscard]] Result<void> restore(std::span<const uint64_t> words);

  const SamplingOptions& options() const { return options_; }

 private:
  bool is_greedy() const { return options_.temperature < kTemperatureGreedy; }
  bool has_top_k() const { return options_.top_k > 0 && options_.top_k < vocab_size_; }
  std::span<const float> adjust(std::span<const float> logits, SamplingWork& work) const;
  TokenId draw(std::span<const float> logits, float max, SamplingWork& work) const;
  std::span<const uint64_t> weigh_top_k(std::span<const float> logits, float max, SamplingWork& work) const;
  void add_logprobs(std::span<const float> logits, float max, SamplingWork& work, Sampled& sampled) const;

  SamplingOptions options_;
  int64_t vocab_size_;
  TokenHistory history_;
  uint64_t n_accepted_ = 0;
};

}  // namespace hadal
