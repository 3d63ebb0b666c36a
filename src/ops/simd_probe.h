// The vector functions of the kernels on plain arrays, so that a test can measure their errors. Nothing else calls
// them.
#pragma once

#include <cstdint>

#include "device/cpu/cpu_level.h"

namespace hadal::ops {

struct SimdProbe {
  CpuLevel level;
  // y[i] = f(x[i]), n a multiple of 16.
  void (*exp_nonpositive)(const float* x, float* y, int64_t n);
  void (*sigmoid)(const float* x, float* y, int64_t n);
  void (*log1p_unit)(const float* x, float* y, int64_t n);
  void (*softplus)(const float* x, float* y, int64_t n);
};

SimdProbe simd_probe_avx2();
SimdProbe simd_probe_avx512();

}  // namespace hadal::ops
