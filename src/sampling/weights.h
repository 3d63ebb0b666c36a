// Probabilities as integers: weight[i] = round(2^40 * exp((z[i] - max z) / T)).
//
// Sums of integers do not depend on their order, and the exponential below uses only IEEE additions and products that
// are written out. So totals, cumulative sums and the drawn token are the same on every machine, with any vector width
// and any C library. What 40 bits cost: a token less than 2^-41 as probable as the best one cannot be drawn, and all
// such tokens of a vocabulary of 129,280 together have a probability below 6e-8.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

inline constexpr int kWeightBits = 40;
inline constexpr uint64_t kWeightOne = uint64_t{1} << kWeightBits;  // the weight of the best token
inline constexpr int64_t kVocabMax = int64_t{1} << 22;              // totals stay below 2^62

// The largest logit. -infinity stands for a token that is not allowed. Errors: Corrupt, naming the token, when a logit
// is NaN or +infinity, or when all are -infinity. O(V), one pass.
Result<float> check_and_max(std::span<const float> logits);

// The lowest id whose logit is `max`, which is one of them. O(V).
TokenId first_equal(std::span<const float> logits, float max);

// weights[i] as above, for temperature >= 1e-5; relative error of the exponential below 2^-36. Both spans
// have the same length; `max` is at least every logit. O(V).
void weigh(std::span<const float> logits, float max, double temperature, std::span<uint64_t> weights);

uint64_t sum(std::span<const uint64_t> weights);

// Maps 64 uniform bits to [0, total): the integer part of bits / 2^64 * total.
uint64_t scale_to(uint64_t bits, uint64_t total);

}  // namespace hadal
