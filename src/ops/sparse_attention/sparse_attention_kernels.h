// The arithmetic of sparse attention on decoded rows, one set per instruction set; sparse_attention_schedule.cpp calls
// them. What each computes for one head and one row (or channel) is the same whatever else is in the call, so that the
// schedule may cut the work anywhere.
#pragma once

#include <cstdint>

#include "ops/sparse_attention/sparse_attention.h"

namespace hadal::ops {

// Rows whose weighted sum is taken in one go: 64 rows of 64 channels are 16 KiB, half of a first-level cache.
inline constexpr int64_t kAttentionBlock = 64;
// Scores of a head are kept in multiples of this; what lies behind the last row is set to -infinity.
inline constexpr int64_t kScoreGrain = 16;

// Decoded rows, D floats each, `stride` apart. The stride is no multiple of 1 KiB: channels of consecutive rows would
// otherwise fall into the same few cache sets.
struct DecodedRows {
  const float* data = nullptr;
  int64_t stride = 0;
  int64_t n = 0;
};

struct SparseAttentionKernels {
  CpuLevel level;
  // scores[h, e] = scale q[h] . kv[e] for all heads [0, H) and rows of kv; may write up to 3 scores behind them.
  void (*score)(const float* q, int64_t H, int64_t D, const DecodedRows& kv, float scale, float* scores,
                int64_t scores_stride);
  // One head: scores [0, n) become exp(score - max); returns their sum and the sink's part of it.
  float (*softmax)(float* scores, int64_t n, float sink);
  // out[h, c] += sum_e weights[h, e] kv[e, c] for heads [0, H) and channels [0, C), C a multiple of 16; `is_first`: out
  // is overwritten. At most kAttentionBlock rows.
  void (*accumulate)(const float* weights, int64_t weights_stride, int64_t H, const DecodedRows& kv, int64_t C,
                     bool is_first, float* out, int64_t out_stride);
  // x[0, n) /= divisor, n a multiple of 16.
  void (*divide)(float* x, int64_t n, float divisor);
};

#if defined(__x86_64__)
extern const SparseAttentionKernels kSparseAttentionKernelsAvx2;
extern const SparseAttentionKernels kSparseAttentionKernelsAvx512;
#endif

void sparse_attention_with(const SparseAttentionKernels& kernels, CpuDevice& cpu, const SparseAttention& op);

}  // namespace hadal::ops
