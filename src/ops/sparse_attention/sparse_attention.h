// Attention of every head over one shared list of rows, each key and value at once, with a sink in the denominator.
//
//   z[e] = scale q[h] . kv[e];   w[e] = exp(z[e]) / (sum_e' exp(z[e']) + exp(sink[h]))
//   o[h, c] = sum_e w[e] kv[e, c],   c < value_dim
//
// A token sees a range of window rows (oldest first), then entries: the chosen ones in ascending order, or the first n.
// The sink has no value and is not scaled. V4 sums all channels of a row; in MLA (absorbed form) the first ones are the
// latent, which is also the value, and the rotated ones behind it only meet queries.
// Source: sparse_attn of the V4 release's kernel.py, with its key order, the maximum taken over keys and sink;
// attn_impl "absorb" of V3's inference/model.py.
#pragma once

#include <limits>
#include <span>

#include "device/device.h"
#include "ops/kv_rows/kv_rows.h"
#include "ops/versions.h"

namespace hadal::ops {

struct SparseAttention {
  const float* q = nullptr;     // [T, H, D]
  float* out = nullptr;         // [T, H, value_dim]
  const float* sink = nullptr;  // [H]; null: none
  int64_t T = 0;
  int64_t H = 0;
  int64_t D = 0;          // a multiple of 16
  int64_t value_dim = 0;  // a multiple of 16, at most D
  int64_t rope_dim = 0;
  float scale = 0;

  // Window rows: consecutive, row_bytes apart, in `format`. Token t sees [window_begin[t], window_begin[t] +
  // window_n[t]); window_n null: there are none.
  const std::byte* window = nullptr;
  int64_t window_row_bytes = 0;
  KvFormat format = KvFormat::kF32;       // of window and entries
  const int64_t* window_begin = nullptr;  // [T]
  const int64_t* window_n = nullptr;      // [T]

  // Entries. chosen null: token t sees entries [0, n_chosen[t]).
  PagedRows entries;
  const int32_t* chosen = nullptr;  // [T, chosen_stride] ascending
  int64_t chosen_stride = 0;
  const int64_t* n_chosen = nullptr;  // [T]; null: no entries at all

  std::byte* scratch = nullptr;  // sparse_attention_scratch_bytes(...), aligned to 64
  int64_t rows_max = 0;          // the largest window_n[t] + n_chosen[t]

  int64_t window_rows_of(int64_t t) const { return window_n == nullptr ? 0 : window_n[t]; }
  int64_t entries_of(int64_t t) const { return n_chosen == nullptr ? 0 : n_chosen[t]; }
  float sink_of(int64_t h) const { return sink == nullptr ? -std::numeric_limits<float>::infinity() : sink[h]; }
};

// For n_threads threads: decoded rows and the scores of all heads, of one token with all its rows (decode) or of one
// token a thread with a block of rows (prefill). 19 MiB for 8 threads, 64 heads, 512 channels and 8,320 rows.
int64_t sparse_attention_scratch_bytes(int64_t n_threads, int64_t H, int64_t D, int64_t rows_max);

// On a GPU: parts of the tokens that are computed side by side; none beyond 32 tokens. Rows must be aligned to 8 bytes
// there, window and entries, and to 4 as floats.
int64_t sparse_attention_gpu_scratch_bytes(int64_t T, int64_t H, int64_t D, int64_t rows_max);

// For at most T tokens on either.
int64_t sparse_attention_scratch_bytes(const Device::Shape& device, int64_t T, int64_t H, int64_t D, int64_t rows_max);

// Order, per token and head, over rows in the order of the list: a dot by 16 partial sums (channel mod 16) and the tree
// of ops/simd_avx512.h; the sum of exponentials by 16 partial sums (row mod 16), the same tree, then the sink's; the
// weighted sum of a channel over 64 rows at a time, ascending, then over those blocks; the division last. Independent
// of T, threads and pages, and the same in AVX2 and AVX-512. A token without rows gives zeros. Accuracy: within 1e-5 of
// the largest |kv| from the reference for |z| <= 100. Cost: per token rows * (row_bytes + 2 H (D + value_dim)
// operations); compute-bound for H of 16 and more. A GPU has an order of its own (sparse_attention_cuda.cu), and takes
// no value_dim but D and no token without a sink.
void sparse_attention(Device& device, const SparseAttention& op);
// Of several sequences (ops/batch.h): heads, widths, formats, the width of window rows and the sink are the same in
// all. So is `scratch`, which has room for the tokens of all and the largest rows_max.
void sparse_attention(Device& device, std::span<const SparseAttention> ops);

void sparse_attention_reference(CpuDevice& cpu, const SparseAttention& op);
std::span<const Version<SparseAttention>> sparse_attention_versions();

}  // namespace hadal::ops
