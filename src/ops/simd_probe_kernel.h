// The bodies behind simd_probe.h, for either instruction set.
#pragma once

#include "ops/f32x16.h"
#include "ops/f32x16_math.h"
#include "ops/simd_probe.h"

namespace hadal::ops {
namespace {

template <F32x16 (*f)(F32x16)>
inline void map(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) store(y + i, f(load(x + i)));
}

inline SimdProbe simd_probe(CpuLevel level) {
  return {.level = level,
          .exp_nonpositive = map<exp_nonpositive>,
          .sigmoid = map<sigmoid>,
          .log1p_unit = map<log1p_unit>,
          .softplus = map<softplus>};
}

}  // namespace
}  // namespace hadal::ops
