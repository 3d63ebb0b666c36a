// Layer normalisation of rows, with gain and bias, in place.
//
//   y[t, c] = (x[t, c] - mean) / sqrt(mean_c((x[t, c] - mean)^2) + eps) * gain[c] + bias[c],   mean = mean_c(x[t, c])
//
// Source: Ba et al. 2016, eq. 4; LayerNorm of V3.2's inference/model.py (the indexer's keys) computes it in float.
#pragma once

#include "device/device.h"
#include "ops/versions.h"

namespace hadal::ops {

struct LayerNorm {
  float* x = nullptr;           // [T, C], in place
  const float* gain = nullptr;  // [C]
  const float* bias = nullptr;  // [C]
  int64_t T = 0;
  int64_t C = 0;  // a multiple of 16
  float eps = 0;  // > 0
};

// Order of both sums: 16 partial sums by c mod 16, then the tree of ops/simd_avx512.h (sum_tree). It depends on neither
// T nor threads. Accuracy: within 2^-20 of the row's largest |x - mean| / deviation * |gain| + |bias| from the
// reference, which sums in double. NaN stays in its row. Cost: reads and writes 4 T C bytes.
void layer_norm(Device& device, const LayerNorm& op);

void layer_norm_reference(CpuDevice& cpu, const LayerNorm& op);
void layer_norm_avx2(CpuDevice& cpu, const LayerNorm& op);
void layer_norm_avx512(CpuDevice& cpu, const LayerNorm& op);
std::span<const Version<LayerNorm>> layer_norm_versions();

}  // namespace hadal::ops
