// Root-mean-square normalisation of rows, with or without a learned gain.
//
//   y[t, c] = x[t, c] / sqrt(mean_c(x[t, c]^2) + eps) * gain[c]
//
// Source: Zhang & Sennrich 2019, eq. 4; RMSNorm of the release's inference/model.py computes it in float and rounds
// once.
#pragma once

#include "device/device.h"
#include "device/tensor.h"
#include "ops/linear/linear.h"
#include "ops/versions.h"

namespace hadal::ops {

struct RmsNorm {
  const float* x = nullptr;     // [T, C], rows x_stride elements apart
  const float* gain = nullptr;  // [C]; null: all ones (the per-head norm of queries)
  float* y = nullptr;           // [T, C], rows y_stride elements apart; may be x itself
  int64_t T = 0;                // rows; 0: nothing is written
  int64_t C = 0;                // a multiple of 8
  int64_t x_stride = 0;
  int64_t y_stride = 0;
  float eps = 0;  // > 0, from ModelDescription; there is no default that is right for all models
  // y once more, rounded to BF16 as pack_rows does it, in the same pass where a device can. Data null: not wanted.
  PackedRows packed = {};
};

// Order of the sum: 64 partial sums by c mod 64, added as (0-15 + 16-31) + (32-47 + 48-63), then the tree of
// ops/simd_avx512.h (sum_tree). It depends on neither T nor threads.
// Accuracy: within 4 ulp of the reference (which sums in double) while the sum of squares is a finite float. An
// all-zero row gives zeros; NaN stays in its row. Cost: reads 4 T C, writes 4 T C bytes.
void rms_norm(Device& device, const RmsNorm& op);

// What packs y where the norm has not.
inline PackRows packing_of(const RmsNorm& op) {
  return {.x = op.y, .x_stride = op.y_stride, .rounding = ActivationRounding::kBf16, .out = op.packed};
}

void rms_norm_reference(CpuDevice& cpu, const RmsNorm& op);
void rms_norm_avx2(CpuDevice& cpu, const RmsNorm& op);
void rms_norm_avx512(CpuDevice& cpu, const RmsNorm& op);
std::span<const Version<RmsNorm>> rms_norm_versions();

}  // namespace hadal::ops
