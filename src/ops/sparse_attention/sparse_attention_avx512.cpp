// Tiles of sparse attention with AVX-512.
//
// Scores: 4 heads x 4 rows, 16 accumulators over 16 lanes of channels; 8 loads feed 16 multiply-adds. 16 lane sums are
// then folded together by 15 additions. Weighted sums: 4 heads x 64 channels, 16 accumulators; 4 loads and 4 broadcasts
// feed 16 multiply-adds. 16 chains cover two units with a latency of 4, and 16 + 8 of 32 registers are used.
#include <immintrin.h>

#include "base/unrolled.h"
#include "ops/simd_avx512.h"
#include "ops/sparse_attention/sparse_attention_kernels.h"

namespace hadal::ops {
namespace {

// Lanes i and i + 8 of a, then of b.
__m512 fold_8(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
}
__m512 fold_4(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
}
__m512 fold_2(__m512 a, __m512 b) {
  const __m512d x = _mm512_castps_pd(a);
  const __m512d y = _mm512_castps_pd(b);
  return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
}
__m512 fold_1(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xDD));
}

// The dots of 4 heads and 4 rows: lane 4 h + r, each summed by the tree of sum_tree.
__m512 dots_4x4(const float* const (&q)[4], const float* const (&kv)[4], int64_t D) {
  __m512 sum[4][4];
  unrolled<4>([&](auto h) HADAL_INLINE { unrolled<4>([&](auto r) HADAL_INLINE { sum[h][r] = _mm512_setzero_ps(); }); });
  for (int64_t d = 0; d < D; d += 16) {
    __m512 k[4];
    unrolled<4>([&](auto r) HADAL_INLINE { k[r] = _mm512_loadu_ps(kv[r] + d); });
    unrolled<4>([&](auto h) HADAL_INLINE {
      const __m512 qh = _mm512_loadu_ps(q[h] + d);
      unrolled<4>([&](auto r) HADAL_INLINE { sum[h][r] = _mm512_fmadd_ps(qh, k[r], sum[h][r]); });
    });
  }
  __m512 of_row[4];
  unrolled<4>([&](auto r)
                  HADAL_INLINE { of_row[r] = fold_4(fold_8(sum[0][r], sum[1][r]), fold_8(sum[2][r], sum[3][r])); });
  return fold_1(fold_2(of_row[0], of_row[1]), fold_2(of_row[2], of_row[3]));
}

int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// Two row tiles (16 KiB) stay in the first-level cache while all heads pass by.
constexpr int64_t kScoreRows = 8;

void score(const float* q, int64_t H, int64_t D, const DecodedRows& kv, float scale, float* scores,
           int64_t scores_stride) {
  const __m512 scale_lanes = _mm512_set1_ps(scale);
  for (int64_t e0 = 0; e0 < kv.n; e0 += kScoreRows) {
    for (int64_t h0 = 0; h0 < H; h0 += 4) {
      // A tile that is not full repeats its last head or row.
      const float* q4[4];
      for (int64_t h = 0; h < 4; ++h) q4[h] = q + smaller(h0 + h, H - 1) * D;
      for (int64_t e = e0; e < smaller(e0 + kScoreRows, kv.n); e += 4) {
        const float* kv4[4];
        for (int64_t r = 0; r < 4; ++r) kv4[r] = kv.data + smaller(e + r, kv.n - 1) * kv.stride;
        const __m512 z = _mm512_mul_ps(dots_4x4(q4, kv4, D), scale_lanes);
        float* out = scores + h0 * scores_stride + e;
        _mm_storeu_ps(out, _mm512_castps512_ps128(z));
        if (h0 + 1 < H) _mm_storeu_ps(out + scores_stride, _mm512_extractf32x4_ps(z, 1));
        if (h0 + 2 < H) _mm_storeu_ps(out + 2 * scores_stride, _mm512_extractf32x4_ps(z, 2));
        if (h0 + 3 < H) _mm_storeu_ps(out + 3 * scores_stride, _mm512_extractf32x4_ps(z, 3));
      }
    }
  }
}

float softmax(float* scores, int64_t n, float sink) {
  for (int64_t e = n; e % kScoreGrain != 0; ++e) scores[e] = -__builtin_inff();
  __m512 max = _mm512_set1_ps(sink);
  for (int64_t e = 0; e < n; e += 16) max = _mm512_max_ps(max, _mm512_loadu_ps(scores + e));
  max = _mm512_set1_ps(_mm512_reduce_max_ps(max));
  __m512 sum = _mm512_setzero_ps();
  for (int64_t e = 0; e < n; e += 16) {
    const __m512 w = exp_nonpositive(_mm512_sub_ps(_mm512_loadu_ps(scores + e), max));
    _mm512_storeu_ps(scores + e, w);
    sum = _mm512_add_ps(sum, w);
  }
  const __m512 of_sink = exp_nonpositive(_mm512_sub_ps(_mm512_set1_ps(sink), max));
  return sum_tree(sum) + _mm512_cvtss_f32(of_sink);
}

// 4 heads x 16 n_registers channels over all rows.
template <int n_registers>
void accumulate_tile(const float* const (&w)[4], int64_t n_heads, const DecodedRows& kv, int64_t channel, bool is_first,
                     float* out, int64_t out_stride) {
  __m512 sum[4][n_registers];
  unrolled<4>([&](auto h) HADAL_INLINE {
    unrolled<n_registers>([&](auto c) HADAL_INLINE { sum[h][c] = _mm512_setzero_ps(); });
  });
  const float* row = kv.data + channel;
  for (int64_t e = 0; e < kv.n; ++e, row += kv.stride) {
    __m512 v[n_registers];
    unrolled<n_registers>([&](auto c) HADAL_INLINE { v[c] = _mm512_loadu_ps(row + 16 * c); });
    unrolled<4>([&](auto h) HADAL_INLINE {
      const __m512 weight = _mm512_set1_ps(w[h][e]);
      unrolled<n_registers>([&](auto c) HADAL_INLINE { sum[h][c] = _mm512_fmadd_ps(weight, v[c], sum[h][c]); });
    });
  }
  unrolled<4>([&](auto h) HADAL_INLINE {
    if (h >= n_heads) return;
    float* y = out + h * out_stride + channel;
    unrolled<n_registers>([&](auto c) HADAL_INLINE {
      const __m512 before = is_first ? _mm512_setzero_ps() : _mm512_loadu_ps(y + 16 * c);
      _mm512_storeu_ps(y + 16 * c, _mm512_add_ps(before, sum[h][c]));
    });
  });
}

void accumulate(const float* weights, int64_t weights_stride, int64_t H, const DecodedRows& kv, int64_t C,
                bool is_first, float* out, int64_t out_stride) {
  for (int64_t c = 0; c < C;) {
    const int64_t width = C - c >= 64 ? 64 : 16;
    for (int64_t h0 = 0; h0 < H; h0 += 4) {
      const float* w[4];
      for (int64_t h = 0; h < 4; ++h) w[h] = weights + smaller(h0 + h, H - 1) * weights_stride;
      if (width == 64) {
        accumulate_tile<4>(w, H - h0, kv, c, is_first, out + h0 * out_stride, out_stride);
      } else {
        accumulate_tile<1>(w, H - h0, kv, c, is_first, out + h0 * out_stride, out_stride);
      }
    }
    c += width;
  }
}

void divide(float* x, int64_t n, float divisor) {
  const __m512 d = _mm512_set1_ps(divisor);
  for (int64_t i = 0; i < n; i += 16) _mm512_storeu_ps(x + i, _mm512_div_ps(_mm512_loadu_ps(x + i), d));
}

}  // namespace

const SparseAttentionKernels kSparseAttentionKernelsAvx512 = {
    .level = CpuLevel::kAvx512, .score = score, .softmax = softmax, .accumulate = accumulate, .divide = divide};

}  // namespace hadal::ops
