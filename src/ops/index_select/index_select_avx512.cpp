// Scores of the indexer with AVX-512.
//
// Float keys: 4 groups of heads x 6 keys, 24 accumulators; 4 loads and 6 broadcasts feed 24 multiply-adds.
// FP4 keys: 2 groups x 5 keys, 10 integer and 10 float accumulators; one VNNI instruction does 64 products where a
// multiply-add does 16. A block of 32 channels takes 8 of them, unrolled (g++ 12 copies every accumulator before a VNNI
// instruction in a loop), and 4 instructions for its scales. Measured: 4 groups x 3 keys run out of registers, 19 %
// slower.
#include <immintrin.h>

#include <cstring>

#include "base/unrolled.h"
#include "ops/index_select/index_select_kernels.h"
#include "ops/simd_avx512.h"

namespace hadal::ops {
namespace {

constexpr int kF32Keys = 6;
constexpr int kFp4Keys = 5;

int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// score += w max(0, dot); NaN stays NaN (max_ps gives its second operand then).
__m512 add_head(__m512 score, __m512 w, __m512 dot) {
  return _mm512_fmadd_ps(w, _mm512_max_ps(_mm512_setzero_ps(), dot), score);
}

// n_groups groups of heads from q on, against 6 keys.
template <int n_groups>
HADAL_INLINE inline void add_groups_f32(const float* q, const float* w, int64_t H, int64_t D,
                                        const float* const (&key)[kF32Keys], __m512 (&score)[kF32Keys]) {
  __m512 dot[n_groups][kF32Keys];
  unrolled<n_groups>(
      [&](auto g) HADAL_INLINE { unrolled<kF32Keys>([&](auto k) HADAL_INLINE { dot[g][k] = _mm512_setzero_ps(); }); });
  for (int64_t d = 0; d < D; ++d) {
    __m512 x[n_groups];
    unrolled<n_groups>([&](auto g) HADAL_INLINE { x[g] = _mm512_loadu_ps(q + d * H + 16 * g); });
    unrolled<kF32Keys>([&](auto k) HADAL_INLINE {
      const __m512 y = _mm512_set1_ps(key[k][d]);
      unrolled<n_groups>([&](auto g) HADAL_INLINE { dot[g][k] = _mm512_fmadd_ps(x[g], y, dot[g][k]); });
    });
  }
  unrolled<n_groups>([&](auto g) HADAL_INLINE {
    const __m512 weight = _mm512_loadu_ps(w + 16 * g);
    unrolled<kF32Keys>([&](auto k) HADAL_INLINE { score[k] = add_head(score[k], weight, dot[g][k]); });
  });
}

void score_f32(const IndexQuery& query, const IndexKeys& keys, int64_t n, int64_t H, int64_t D, float* scores) {
  for (int64_t j = 0; j < n; j += kF32Keys) {
    // A tile that is not full repeats the last key.
    const float* key[kF32Keys];
    for (int64_t k = 0; k < kF32Keys; ++k) key[k] = keys.values + smaller(j + k, n - 1) * D;
    __m512 score[kF32Keys];
    unrolled<kF32Keys>([&](auto k) HADAL_INLINE { score[k] = _mm512_setzero_ps(); });
    int64_t h = 0;
    for (; h + 64 <= H; h += 64) add_groups_f32<4>(query.values + h, query.w + h, H, D, key, score);
    for (; h < H; h += 16) add_groups_f32<1>(query.values + h, query.w + h, H, D, key, score);
    unrolled<kF32Keys>([&](auto k) HADAL_INLINE {
      if (j + k < n) scores[j + k] = sum_tree(score[k]);
    });
  }
}

__m512i four_codes(const uint8_t* codes) {
  int32_t four;
  std::memcpy(&four, codes, 4);
  return _mm512_set1_epi32(four);
}

template <int n_groups>
HADAL_INLINE inline void add_groups_fp4(const IndexQuery& query, int64_t h, int64_t H, int64_t D, const IndexKeys& keys,
                                        const int64_t (&key)[kFp4Keys], __m512 (&score)[kFp4Keys]) {
  const int64_t n_blocks = D / kIndexBlock;
  __m512 dot[n_groups][kFp4Keys];
  unrolled<n_groups>(
      [&](auto g) HADAL_INLINE { unrolled<kFp4Keys>([&](auto k) HADAL_INLINE { dot[g][k] = _mm512_setzero_ps(); }); });
  for (int64_t b = 0; b < n_blocks; ++b) {
    __m512i sum[n_groups][kFp4Keys];
    unrolled<n_groups>([&](auto g) HADAL_INLINE {
      const __m512i offset = _mm512_loadu_si512(query.offsets + b * H + h + 16 * g);
      unrolled<kFp4Keys>([&](auto k) HADAL_INLINE { sum[g][k] = offset; });
    });
    const int8_t* x_block = query.codes + b * kIndexBlock * H + 4 * h;
    unrolled<kIndexBlock / 4>([&](auto step) HADAL_INLINE {
      __m512i x[n_groups];
      unrolled<n_groups>([&](auto g) HADAL_INLINE { x[g] = _mm512_loadu_si512(x_block + 4 * step * H + 64 * g); });
      unrolled<kFp4Keys>([&](auto k) HADAL_INLINE {
        const __m512i y = four_codes(keys.codes + key[k] * D + b * kIndexBlock + 4 * step);
        unrolled<n_groups>([&](auto g) HADAL_INLINE { sum[g][k] = _mm512_dpbusd_epi32(sum[g][k], y, x[g]); });
      });
    });
    unrolled<n_groups>([&](auto g) HADAL_INLINE {
      const __m512 query_scale = _mm512_loadu_ps(query.scales + b * H + h + 16 * g);
      unrolled<kFp4Keys>([&](auto k) HADAL_INLINE {
        const __m512 scale = _mm512_mul_ps(query_scale, _mm512_set1_ps(keys.scales[key[k] * n_blocks + b]));
        dot[g][k] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[g][k]), scale, dot[g][k]);
      });
    });
  }
  unrolled<n_groups>([&](auto g) HADAL_INLINE {
    const __m512 weight = _mm512_loadu_ps(query.w + h + 16 * g);
    unrolled<kFp4Keys>([&](auto k) HADAL_INLINE { score[k] = add_head(score[k], weight, dot[g][k]); });
  });
}

void score_fp4(const IndexQuery& query, const IndexKeys& keys, int64_t n, int64_t H, int64_t D, float* scores) {
  for (int64_t j = 0; j < n; j += kFp4Keys) {
    int64_t key[kFp4Keys];
    for (int64_t k = 0; k < kFp4Keys; ++k) key[k] = smaller(j + k, n - 1);
    __m512 score[kFp4Keys];
    unrolled<kFp4Keys>([&](auto k) HADAL_INLINE { score[k] = _mm512_setzero_ps(); });
    int64_t h = 0;
    for (; h + 32 <= H; h += 32) add_groups_fp4<2>(query, h, H, D, keys, key, score);
    for (; h < H; h += 16) add_groups_fp4<1>(query, h, H, D, keys, key, score);
    unrolled<kFp4Keys>([&](auto k) HADAL_INLINE {
      if (j + k < n) scores[j + k] = sum_tree(score[k]);
    });
  }
}

// Half of an E8M0 scale, exact.
float half_scale(std::byte code) {
  const auto c = static_cast<uint32_t>(code);
  const uint32_t bits = c == 0 ? 0x00400000u : c == 0xFF ? 0x7FC00000u : c << 23;
  float v;
  std::memcpy(&v, &bits, 4);
  return 0.5f * v;
}

void expand_fp4(const std::byte* row, int64_t D, uint8_t* codes, float* scales) {
  const __m256i biased =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
  for (int64_t b = 0; b < D / kIndexBlock; ++b) {
    // A byte becomes two: the even code from the lower nibble, the odd one from the upper.
    const __m256i wide =
        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row + b * kIndexBlock / 2)));
    const __m256i nibbles = _mm256_and_si256(_mm256_or_si256(wide, _mm256_slli_epi16(wide, 4)), _mm256_set1_epi8(0x0F));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes + b * kIndexBlock), _mm256_shuffle_epi8(biased, nibbles));
    scales[b] = half_scale(row[D / 2 + b]);
  }
}

}  // namespace

const IndexSelectKernels kIndexSelectKernelsAvx512 = {
    .level = CpuLevel::kAvx512, .expand_fp4 = expand_fp4, .score_f32 = score_f32, .score_fp4 = score_fp4};

}  // namespace hadal::ops
