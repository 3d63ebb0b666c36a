// The list of rows that a token attends to, and how the parts of a list become one: what both attention kernels share.
//
// A token's rows come in parts of 64. A part gives, for one head, the maximum m of its scores, the sum l of exp(z - m)
// and the weighted channels o. Parts are added ascending by the same few operations, wherever they were computed:
//
//   start: m = sink, l = 1, o = 0;   m' = max(m, m_s);   l' = l exp(m - m') + l_s exp(m_s - m');   o likewise
#pragma once

#include "ops/kv_rows/kv_rows_cuda.cuh"
#include "ops/sparse_attention/sparse_attention.h"
#include "ops/sparse_attention/sparse_attention_layout_cuda.h"

namespace hadal::ops {

// Rows of token t: of the window, then compressed entries.
struct RowList {
  int64_t n_window;
  int64_t n;
};

__device__ inline RowList rows_of_token(const SparseAttention& op, int64_t t) {
  const int64_t n_window = op.window_n[t];
  return {n_window, n_window + (op.n_chosen != nullptr ? op.n_chosen[t] : 0)};
}

// Row r of the list of token t, r < rows.n.
__device__ inline const std::byte* attention_row(const SparseAttention& op, const RowList& rows, int64_t t, int64_t r) {
  if (r < rows.n_window) return op.window + (op.window_begin[t] + r) * op.window_row_bytes;
  const int64_t e = r - rows.n_window;
  return paged_row(op.entries, op.chosen != nullptr ? op.chosen[t * op.chosen_stride + e] : e);
}

// What the sums so far and those of a part are multiplied with when they are added.
struct Factors {
  float so_far;
  float part;
};

__device__ inline Factors fold_part(float& m, float& l, float part_m, float part_l) {
  const float max = fmaxf(m, part_m);
  const Factors f = {expf(m - max), expf(part_m - max)};
  m = max;
  l = l * f.so_far + part_l * f.part;
  return f;
}

__device__ inline float folded(float o, float part_o, const Factors& f) {
  return o * f.so_far + part_o * f.part;
}

}  // namespace hadal::ops
