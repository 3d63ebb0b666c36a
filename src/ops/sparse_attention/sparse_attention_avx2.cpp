// Tiles of sparse attention with AVX2: the sums of the AVX-512 version, each of its 16-lane registers held in two of 8.
//
// Scores: 2 heads x 3 rows, 12 accumulators; 10 loads feed 12 multiply-adds. Weighted sums: 4 heads x 16 channels,
// 8 accumulators; 2 loads and 4 broadcasts feed 8 multiply-adds. There are 16 registers.
#include <immintrin.h>

#include "base/unrolled.h"
#include "ops/simd_avx2.h"
#include "ops/sparse_attention/sparse_attention_kernels.h"

namespace hadal::ops {
namespace {

constexpr int kTileHeads = 2;
constexpr int kTileRows = 3;

int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// dots[h][r], each from 16 lane sums by the tree of sum_tree.
void dots_2x3(const float* const (&q)[kTileHeads], const float* const (&kv)[kTileRows], int64_t D,
              float (&dots)[kTileHeads][kTileRows]) {
  __m256 low[kTileHeads][kTileRows];
  __m256 high[kTileHeads][kTileRows];
  unrolled<kTileHeads>([&](auto h) HADAL_INLINE {
    unrolled<kTileRows>([&](auto r) HADAL_INLINE { low[h][r] = high[h][r] = _mm256_setzero_ps(); });
  });
  for (int64_t d = 0; d < D; d += 16) {
    __m256 x[kTileHeads];
    unrolled<kTileHeads>([&](auto h) HADAL_INLINE { x[h] = _mm256_loadu_ps(q[h] + d); });
    unrolled<kTileRows>([&](auto r) HADAL_INLINE {
      const __m256 k = _mm256_loadu_ps(kv[r] + d);
      unrolled<kTileHeads>([&](auto h) HADAL_INLINE { low[h][r] = _mm256_fmadd_ps(x[h], k, low[h][r]); });
    });
    unrolled<kTileHeads>([&](auto h) HADAL_INLINE { x[h] = _mm256_loadu_ps(q[h] + d + 8); });
    unrolled<kTileRows>([&](auto r) HADAL_INLINE {
      const __m256 k = _mm256_loadu_ps(kv[r] + d + 8);
      unrolled<kTileHeads>([&](auto h) HADAL_INLINE { high[h][r] = _mm256_fmadd_ps(x[h], k, high[h][r]); });
    });
  }
  unrolled<kTileHeads>([&](auto h) HADAL_INLINE {
    unrolled<kTileRows>([&](auto r) HADAL_INLINE { dots[h][r] = sum_tree(low[h][r], high[h][r]); });
  });
}

void score(const float* q, int64_t H, int64_t D, const DecodedRows& kv, float scale, float* scores,
           int64_t scores_stride) {
  for (int64_t e = 0; e < kv.n; e += kTileRows) {
    // A tile that is not full repeats its last head or row.
    const float* kv3[kTileRows];
    for (int64_t r = 0; r < kTileRows; ++r) kv3[r] = kv.data + smaller(e + r, kv.n - 1) * kv.stride;
    for (int64_t h0 = 0; h0 < H; h0 += kTileHeads) {
      const float* q2[kTileHeads];
      for (int64_t h = 0; h < kTileHeads; ++h) q2[h] = q + smaller(h0 + h, H - 1) * D;
      float dots[kTileHeads][kTileRows];
      dots_2x3(q2, kv3, D, dots);
      for (int64_t h = 0; h < smaller(kTileHeads, H - h0); ++h) {
        for (int64_t r = 0; r < smaller(kTileRows, kv.n - e); ++r) {
          scores[(h0 + h) * scores_stride + e + r] = dots[h][r] * scale;
        }
      }
    }
  }
}

float softmax(float* scores, int64_t n, float sink) {
  for (int64_t e = n; e % kScoreGrain != 0; ++e) scores[e] = -__builtin_inff();
  __m256 max = _mm256_set1_ps(sink);
  for (int64_t e = 0; e < n; e += 8) max = _mm256_max_ps(max, _mm256_loadu_ps(scores + e));
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(max), _mm256_extractf128_ps(max, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  max = _mm256_set1_ps(_mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1))));
  __m256 low = _mm256_setzero_ps();
  __m256 high = _mm256_setzero_ps();
  for (int64_t e = 0; e < n; e += 16) {
    const __m256 a = exp_nonpositive(_mm256_sub_ps(_mm256_loadu_ps(scores + e), max));
    const __m256 b = exp_nonpositive(_mm256_sub_ps(_mm256_loadu_ps(scores + e + 8), max));
    _mm256_storeu_ps(scores + e, a);
    _mm256_storeu_ps(scores + e + 8, b);
    low = _mm256_add_ps(low, a);
    high = _mm256_add_ps(high, b);
  }
  const __m256 of_sink = exp_nonpositive(_mm256_sub_ps(_mm256_set1_ps(sink), max));
  return sum_tree(low, high) + _mm256_cvtss_f32(of_sink);
}

void accumulate(const float* weights, int64_t weights_stride, int64_t H, const DecodedRows& kv, int64_t C,
                bool is_first, float* out, int64_t out_stride) {
  for (int64_t c = 0; c < C; c += 16) {
    for (int64_t h0 = 0; h0 < H; h0 += 4) {
      const float* w[4];
      for (int64_t h = 0; h < 4; ++h) w[h] = weights + smaller(h0 + h, H - 1) * weights_stride;
      __m256 sum[4][2];
      unrolled<4>([&](auto h) HADAL_INLINE { sum[h][0] = sum[h][1] = _mm256_setzero_ps(); });
      const float* row = kv.data + c;
      for (int64_t e = 0; e < kv.n; ++e, row += kv.stride) {
        const __m256 low = _mm256_loadu_ps(row);
        const __m256 high = _mm256_loadu_ps(row + 8);
        unrolled<4>([&](auto h) HADAL_INLINE {
          const __m256 weight = _mm256_set1_ps(w[h][e]);
          sum[h][0] = _mm256_fmadd_ps(weight, low, sum[h][0]);
          sum[h][1] = _mm256_fmadd_ps(weight, high, sum[h][1]);
        });
      }
      unrolled<4>([&](auto h) HADAL_INLINE {
        if (h0 + h >= H) return;
        float* y = out + (h0 + h) * out_stride + c;
        unrolled<2>([&](auto k) HADAL_INLINE {
          const __m256 before = is_first ? _mm256_setzero_ps() : _mm256_loadu_ps(y + 8 * k);
          _mm256_storeu_ps(y + 8 * k, _mm256_add_ps(before, sum[h][k]));
        });
      });
    }
  }
}

void divide(float* x, int64_t n, float divisor) {
  const __m256 d = _mm256_set1_ps(divisor);
  for (int64_t i = 0; i < n; i += 8) _mm256_storeu_ps(x + i, _mm256_div_ps(_mm256_loadu_ps(x + i), d));
}

}  // namespace

const SparseAttentionKernels kSparseAttentionKernelsAvx2 = {
    .level = CpuLevel::kAvx2, .score = score, .softmax = softmax, .accumulate = accumulate, .divide = divide};

}  // namespace hadal::ops
