// F32x16 (ops/f32x16.h) in two AVX2 registers: the names and results of f32x16_avx512.h, which has the comments.
#pragma once

#include <cstddef>

#include "ops/simd_avx2.h"

namespace hadal::ops {
namespace {

struct F32x16 {
  __m256 low;   // lanes 0 to 7
  __m256 high;  // lanes 8 to 15
};

// All ones in lanes [0, n), n clamped to [0, 8].
inline __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline F32x16 load(const float* p) {
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
inline void store(float* p, F32x16 a) {
  _mm256_storeu_ps(p, a.low);
  _mm256_storeu_ps(p + 8, a.high);
}
inline F32x16 load_first(const float* p, int64_t n) {
  return {_mm256_maskload_ps(p, first_lanes(n)), _mm256_maskload_ps(p + 8, first_lanes(n - 8))};
}
inline void store_first(float* p, F32x16 a, int64_t n) {
  _mm256_maskstore_ps(p, first_lanes(n), a.low);
  _mm256_maskstore_ps(p + 8, first_lanes(n - 8), a.high);
}
inline __m256 eight_bf16(const std::byte* p) {
  const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
}
inline __m256 eight_f16(const std::byte* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline __m256 eight_e4m3(const std::byte* p) {
  const __m128i words = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  const __m128i sign = _mm_slli_epi16(_mm_and_si128(words, _mm_set1_epi16(0x80)), 8);
  const __m128i magnitude = _mm_slli_epi16(_mm_and_si128(words, _mm_set1_epi16(0x7F)), 7);
  return _mm256_mul_ps(_mm256_cvtph_ps(_mm_or_si128(sign, magnitude)), _mm256_set1_ps(256.0f));
}
inline F32x16 load_bf16(const std::byte* p) {
  return {eight_bf16(p), eight_bf16(p + 16)};
}
inline F32x16 load_f16(const std::byte* p) {
  return {eight_f16(p), eight_f16(p + 16)};
}
inline F32x16 load_e4m3(const std::byte* p) {
  return {eight_e4m3(p), eight_e4m3(p + 8)};
}
inline F32x16 broadcast(float value) {
  return {_mm256_set1_ps(value), _mm256_set1_ps(value)};
}

inline F32x16 operator+(F32x16 a, F32x16 b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline F32x16 operator-(F32x16 a, F32x16 b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline F32x16 operator*(F32x16 a, F32x16 b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline F32x16 operator/(F32x16 a, F32x16 b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline F32x16 sqrt(F32x16 a) {
  return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)};
}
inline F32x16 max(F32x16 a, F32x16 b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline F32x16 minus_abs(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(a.low, sign), _mm256_or_ps(a.high, sign)};
}
inline F32x16 exp_nonpositive(F32x16 a) {
  return {ops::exp_nonpositive(a.low), ops::exp_nonpositive(a.high)};
}

inline uint32_t greater(F32x16 a, F32x16 b) {
  const int low = _mm256_movemask_ps(_mm256_cmp_ps(a.low, b.low, _CMP_GT_OQ));
  const int high = _mm256_movemask_ps(_mm256_cmp_ps(a.high, b.high, _CMP_GT_OQ));
  return static_cast<uint32_t>(low) | static_cast<uint32_t>(high) << 8;
}
inline F32x16 where_negative(F32x16 x, F32x16 a, F32x16 b) {
  const __m256 zero = _mm256_setzero_ps();
  return {_mm256_blendv_ps(b.low, a.low, _mm256_cmp_ps(x.low, zero, _CMP_LT_OQ)),
          _mm256_blendv_ps(b.high, a.high, _mm256_cmp_ps(x.high, zero, _CMP_LT_OQ))};
}

inline float sum(F32x16 a) {
  return sum_tree(a.low, a.high);
}

inline __m256 complex_multiply(__m256 a, __m256 b) {
  const __m256 swapped = _mm256_permute_ps(a, 0xB1);
  return _mm256_fmaddsub_ps(a, _mm256_moveldup_ps(b), _mm256_mul_ps(swapped, _mm256_movehdup_ps(b)));
}
inline __m256 complex_multiply_conjugate(__m256 a, __m256 b) {
  const __m256 swapped = _mm256_permute_ps(a, 0xB1);
  return _mm256_fmsubadd_ps(a, _mm256_moveldup_ps(b), _mm256_mul_ps(swapped, _mm256_movehdup_ps(b)));
}
inline F32x16 complex_multiply(F32x16 a, F32x16 b) {
  return {complex_multiply(a.low, b.low), complex_multiply(a.high, b.high)};
}
inline F32x16 complex_multiply_conjugate(F32x16 a, F32x16 b) {
  return {complex_multiply_conjugate(a.low, b.low), complex_multiply_conjugate(a.high, b.high)};
}

inline __m256 row_sums(__m256 a) {
  const __m256 sum01 = _mm256_add_ps(_mm256_permute_ps(a, 0x00), _mm256_permute_ps(a, 0x55));
  return _mm256_add_ps(_mm256_add_ps(sum01, _mm256_permute_ps(a, 0xAA)), _mm256_permute_ps(a, 0xFF));
}
inline __m256 row_maxima(__m256 a) {
  const __m256 pairs = _mm256_max_ps(a, _mm256_permute_ps(a, 0xB1));
  return _mm256_max_ps(pairs, _mm256_permute_ps(pairs, 0x4E));
}
inline F32x16 row_sums(F32x16 a) {
  return {row_sums(a.low), row_sums(a.high)};
}
inline F32x16 row_maxima(F32x16 a) {
  return {row_maxima(a.low), row_maxima(a.high)};
}
inline F32x16 column_sums(F32x16 a) {
  const __m128 row0 = _mm256_castps256_ps128(a.low);
  const __m128 row1 = _mm256_extractf128_ps(a.low, 1);
  const __m128 row2 = _mm256_castps256_ps128(a.high);
  const __m128 row3 = _mm256_extractf128_ps(a.high, 1);
  const __m128 sums = _mm_add_ps(_mm_add_ps(_mm_add_ps(row0, row1), row2), row3);
  const __m256 both = _mm256_set_m128(sums, sums);
  return {both, both};
}

}  // namespace
}  // namespace hadal::ops
