// Numbers in a range, as digits: integers exactly, others by the integers around them.
#pragma once

#include <cstdint>
#include <optional>

#include "constrain/grammar.h"

namespace hadal::constrain {

inline constexpr int64_t kBoundMax = 1'000'000'000'000'000;  // 10^15: exact in double as well
inline constexpr int kDigitsMax = 40;                        // of a number without bounds

struct IntegerRange {
  std::optional<int64_t> min, max;  // inclusive
};

// Digits without leading zeros, "-" in front, no "-0". Empty ranges give a fragment that nothing passes.
Fragment integer_in(GrammarBuilder& builder, const IntegerRange& range);
// The same with an optional fraction of up to `decimals` digits; min and max are included.
Fragment decimal_in(GrammarBuilder& builder, const IntegerRange& range, int decimals);
// Any JSON number of at most 40 digits, with a fraction and an exponent of two digits.
Fragment any_number(GrammarBuilder& builder);

}  // namespace hadal::constrain
