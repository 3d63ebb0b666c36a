// What a caller may ask of the sampler, with the range of each option.
//
// Names and ranges are those of the OpenAI chat API where it has the option, else those of vLLM; a range is checked in
// one place, here, for the command line, /set and HTTP alike.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/result.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

inline constexpr double kTemperatureMax = 2.0;
// Below this the distribution is one token for every logit gap that float can hold; it means greedy, as in vLLM.
inline constexpr double kTemperatureGreedy = 1e-5;
inline constexpr double kRepetitionPenaltyMin = 0.01;
inline constexpr double kRepetitionPenaltyMax = 10.0;
inline constexpr double kOccurrencePenaltyMax = 2.0;  // presence and frequency, both signs
inline constexpr double kLogitBiasMax = 100.0;        // both signs; -100 bans a token, 100 forces it, in practice
inline constexpr size_t kLogitBiasEntriesMax = 8192;  // 64 KiB of request text at least; more is a mask, not a bias
inline constexpr int kTopLogprobsMax = 20;            // OpenAI's limit

struct SamplingOptions {
  double temperature = 1.0;  // 0..2; 0 is greedy: the best token, the lowest id among equals
  int64_t top_k = 0;         // >= 0; only the k best tokens; 0 is off
  double top_p = 1.0;        // 0..1; the smallest set of best tokens with that share of the probability; 1 is off
  double min_p = 0.0;        // 0..1; only tokens at least that probable relative to the best; 0 is off

  double repetition_penalty = 1.0;  // 0.01..10; 1 is off; for tokens of prompt and answer
  int64_t repetition_window = 64;   // how many of the last tokens count; -1 all of them, 0 none
  double presence_penalty = 0.0;    // -2..2; once for each token that the answer has already
  double frequency_penalty = 0.0;   // -2..2; for each time that the answer has it

  std::map<TokenId, float> logit_bias = {};  // ids of the vocabulary, -100..100
  uint64_t seed = 0;                         // the caller draws one when the user gave none, and shows it
  std::optional<int> logprobs = {};          // 0..20 best tokens beside the chosen one; absent: no log-probabilities
};

// Errors: Invalid or Limit; `in` is the option's name, `want` its range, `found` the value.
[[nodiscard]] Result<void> check(const SamplingOptions& options, int64_t vocab_size);

}  // namespace hadal
