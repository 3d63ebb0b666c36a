// The loops behind ceilings.h, one set per level. Results are only there to keep a compiler from dropping the work.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/cpu/cpu_level.h"

namespace hadal {

struct CeilingLoops {
  CpuLevel level;
  // Sums bytes [0, n_bytes); n_bytes is a multiple of 512, data aligned to 64.
  uint64_t (*read)(const std::byte* data, int64_t n_bytes);
  // n rounds of `*_flops_per_round` operations.
  float (*f32)(int64_t n_rounds);
  int64_t f32_flops_per_round;
  float (*bf16)(int64_t n_rounds);
  int64_t bf16_flops_per_round;
  // Products of 8-bit integers, summed in 32 bits.
  float (*int8)(int64_t n_rounds);
  int64_t int8_ops_per_round;
};

extern const CeilingLoops kCeilingLoopsPortable;
#if defined(__x86_64__)
extern const CeilingLoops kCeilingLoopsAvx2;
extern const CeilingLoops kCeilingLoopsAvx512;
#endif

}  // namespace hadal
