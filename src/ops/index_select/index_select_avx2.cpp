// Scores of the indexer with AVX2: the steps of the AVX-512 version, a group of 16 heads held in two registers.
//
// Float keys: 16 heads x 5 keys, 10 accumulators. FP4 keys: 16 heads x 2 keys; sums of a block fit 16 bits (a product
// is at most 24 * 12, a pair 576, eight pairs 4608).
#include <immintrin.h>

#include <cstring>

#include "base/unrolled.h"
#include "ops/index_select/index_select_kernels.h"
#include "ops/simd_avx2.h"

namespace hadal::ops {
namespace {

constexpr int kF32Keys = 5;
constexpr int kFp4Keys = 2;

int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// score += w max(0, dot); NaN stays NaN (max_ps gives its second operand then).
__m256 add_head(__m256 score, __m256 w, __m256 dot) {
  return _mm256_fmadd_ps(w, _mm256_max_ps(_mm256_setzero_ps(), dot), score);
}

void score_f32(const IndexQuery& query, const IndexKeys& keys, int64_t n, int64_t H, int64_t D, float* scores) {
  for (int64_t j = 0; j < n; j += kF32Keys) {
    // A tile that is not full repeats the last key.
    const float* key[kF32Keys];
    for (int64_t k = 0; k < kF32Keys; ++k) key[k] = keys.values + smaller(j + k, n - 1) * D;
    __m256 score[kF32Keys][2];
    unrolled<kF32Keys>([&](auto k) HADAL_INLINE { score[k][0] = score[k][1] = _mm256_setzero_ps(); });
    for (int64_t h = 0; h < H; h += 16) {
      __m256 dot[kF32Keys][2];
      unrolled<kF32Keys>([&](auto k) HADAL_INLINE { dot[k][0] = dot[k][1] = _mm256_setzero_ps(); });
      for (int64_t d = 0; d < D; ++d) {
        const __m256 low = _mm256_loadu_ps(query.values + d * H + h);
        const __m256 high = _mm256_loadu_ps(query.values + d * H + h + 8);
        unrolled<kF32Keys>([&](auto k) HADAL_INLINE {
          const __m256 y = _mm256_set1_ps(key[k][d]);
          dot[k][0] = _mm256_fmadd_ps(low, y, dot[k][0]);
          dot[k][1] = _mm256_fmadd_ps(high, y, dot[k][1]);
        });
      }
      unrolled<kF32Keys>([&](auto k) HADAL_INLINE {
        score[k][0] = add_head(score[k][0], _mm256_loadu_ps(query.w + h), dot[k][0]);
        score[k][1] = add_head(score[k][1], _mm256_loadu_ps(query.w + h + 8), dot[k][1]);
      });
    }
    unrolled<kF32Keys>([&](auto k) HADAL_INLINE {
      if (j + k < n) scores[j + k] = sum_tree(score[k][0], score[k][1]);
    });
  }
}

__m256i four_codes(const uint8_t* codes) {
  int32_t four;
  std::memcpy(&four, codes, 4);
  return _mm256_set1_epi32(four);
}

void score_fp4(const IndexQuery& query, const IndexKeys& keys, int64_t n, int64_t H, int64_t D, float* scores) {
  const int64_t n_blocks = D / kIndexBlock;
  for (int64_t j = 0; j < n; j += kFp4Keys) {
    int64_t key[kFp4Keys];
    for (int64_t k = 0; k < kFp4Keys; ++k) key[k] = smaller(j + k, n - 1);
    __m256 score[kFp4Keys][2];
    unrolled<kFp4Keys>([&](auto k) HADAL_INLINE { score[k][0] = score[k][1] = _mm256_setzero_ps(); });
    for (int64_t h = 0; h < H; h += 16) {
      __m256 dot[kFp4Keys][2];
      unrolled<kFp4Keys>([&](auto k) HADAL_INLINE { dot[k][0] = dot[k][1] = _mm256_setzero_ps(); });
      for (int64_t b = 0; b < n_blocks; ++b) {
        __m256i pairs[kFp4Keys][2];
        unrolled<kFp4Keys>([&](auto k) HADAL_INLINE { pairs[k][0] = pairs[k][1] = _mm256_setzero_si256(); });
        for (int64_t d = b * kIndexBlock; d < (b + 1) * kIndexBlock; d += 4) {
          const auto* x = reinterpret_cast<const __m256i*>(query.codes + d * H + 4 * h);
          const __m256i low = _mm256_loadu_si256(x);
          const __m256i high = _mm256_loadu_si256(x + 1);
          unrolled<kFp4Keys>([&](auto k) HADAL_INLINE {
            const __m256i y = four_codes(keys.codes + key[k] * D + d);
            pairs[k][0] = _mm256_add_epi16(pairs[k][0], _mm256_maddubs_epi16(y, low));
            pairs[k][1] = _mm256_add_epi16(pairs[k][1], _mm256_maddubs_epi16(y, high));
          });
        }
        unrolled<kFp4Keys>([&](auto k) HADAL_INLINE {
          const __m256 key_scale = _mm256_set1_ps(keys.scales[key[k] * n_blocks + b]);
          unrolled<2>([&](auto half) HADAL_INLINE {
            const int64_t at = b * H + h + 8 * half;
            const __m256i offset = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query.offsets + at));
            const __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(pairs[k][half], _mm256_set1_epi16(1)), offset);
            const __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(query.scales + at), key_scale);
            dot[k][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, dot[k][half]);
          });
        });
      }
      unrolled<kFp4Keys>([&](auto k) HADAL_INLINE {
        score[k][0] = add_head(score[k][0], _mm256_loadu_ps(query.w + h), dot[k][0]);
        score[k][1] = add_head(score[k][1], _mm256_loadu_ps(query.w + h + 8), dot[k][1]);
      });
    }
    unrolled<kFp4Keys>([&](auto k) HADAL_INLINE {
      if (j + k < n) scores[j + k] = sum_tree(score[k][0], score[k][1]);
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

const IndexSelectKernels kIndexSelectKernelsAvx2 = {
    .level = CpuLevel::kAvx2, .expand_fp4 = expand_fp4, .score_f32 = score_f32, .score_fp4 = score_fp4};

}  // namespace hadal::ops
