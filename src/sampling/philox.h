// Random numbers that are a function of (seed, index): no state to advance, to save or to lose.
//
// Philox4x32-10, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.4. The i-th token of a
// conversation always meets the same number, so that sampling again after a rejected draft, or after a restart,
// chooses as before.
#pragma once

#include <array>
#include <cstdint>

namespace hadal {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

// The block cipher itself: ten rounds.
PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key);

// 64 uniform bits: the first two words of philox4x32 with the index as counter and the seed as key, low words first.
uint64_t random_bits(uint64_t seed, uint64_t index);

}  // namespace hadal
