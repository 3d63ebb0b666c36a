// F32x16 (ops/f32x16.h) in one AVX-512 register. f32x16_avx2.h has the same names in two AVX2 registers.
#pragma once

#include <cstddef>

#include "ops/simd_avx512.h"

namespace hadal::ops {
namespace {

struct F32x16 {
  __m512 v;
};

inline F32x16 load(const float* p) {
  return {_mm512_loadu_ps(p)};
}
inline void store(float* p, F32x16 a) {
  _mm512_storeu_ps(p, a.v);
}
// Lanes [0, n) of memory, 0 <= n <= 16; the others are zero, or are not written.
inline F32x16 load_first(const float* p, int64_t n) {
  return {_mm512_maskz_loadu_ps(first_lanes(n), p)};
}
inline void store_first(float* p, F32x16 a, int64_t n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), a.v);
}
// Sixteen stored numbers, exactly.
inline F32x16 load_bf16(const std::byte* p) {
  const __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(words, 16))};
}
inline F32x16 load_f16(const std::byte* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
// E4M3 is F16 with a smaller exponent field: shifted into place it is the value times 2^-8, subnormals included.
inline F32x16 load_e4m3(const std::byte* p) {
  const __m256i words = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(words, _mm256_set1_epi16(0x80)), 8);
  const __m256i magnitude = _mm256_slli_epi16(_mm256_and_si256(words, _mm256_set1_epi16(0x7F)), 7);
  return {_mm512_mul_ps(_mm512_cvtph_ps(_mm256_or_si256(sign, magnitude)), _mm512_set1_ps(256.0f))};
}
inline F32x16 broadcast(float value) {
  return {_mm512_set1_ps(value)};
}

inline F32x16 operator+(F32x16 a, F32x16 b) {
  return {_mm512_add_ps(a.v, b.v)};
}
inline F32x16 operator-(F32x16 a, F32x16 b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
inline F32x16 operator*(F32x16 a, F32x16 b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
inline F32x16 operator/(F32x16 a, F32x16 b) {
  return {_mm512_div_ps(a.v, b.v)};
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}  // a b + c, rounded once
inline F32x16 sqrt(F32x16 a) {
  return {_mm512_sqrt_ps(a.v)};
}
inline F32x16 max(F32x16 a, F32x16 b) {
  return {_mm512_max_ps(a.v, b.v)};
}  // b where one of them is NaN
inline F32x16 minus_abs(F32x16 a) {
  return {_mm512_or_ps(a.v, _mm512_set1_ps(-0.0f))};
}
inline F32x16 exp_nonpositive(F32x16 a) {
  return {ops::exp_nonpositive(a.v)};
}

// Bit l is set where a > b in lane l; never for NaN.
inline uint32_t greater(F32x16 a, F32x16 b) {
  return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ);
}
// a where x < 0, b elsewhere (also for NaN and -0).
inline F32x16 where_negative(F32x16 x, F32x16 a, F32x16 b) {
  return {_mm512_mask_mov_ps(b.v, _mm512_cmp_ps_mask(x.v, _mm512_setzero_ps(), _CMP_LT_OQ), a.v)};
}

inline float sum(F32x16 a) {
  return sum_tree(a.v);
}

// Lanes as complex numbers (re, im), (re, im), ...: a times b, and a times the conjugate of b.
inline F32x16 complex_multiply(F32x16 a, F32x16 b) {
  const __m512 swapped = _mm512_permute_ps(a.v, 0xB1);
  return {_mm512_fmaddsub_ps(a.v, _mm512_moveldup_ps(b.v), _mm512_mul_ps(swapped, _mm512_movehdup_ps(b.v)))};
}
inline F32x16 complex_multiply_conjugate(F32x16 a, F32x16 b) {
  const __m512 swapped = _mm512_permute_ps(a.v, 0xB1);
  return {_mm512_fmsubadd_ps(a.v, _mm512_moveldup_ps(b.v), _mm512_mul_ps(swapped, _mm512_movehdup_ps(b.v)))};
}

// Lanes as a 4 x 4 matrix by rows: in every lane the sum (largest) of its row or the sum of its column, always as
// ((0 + 1) + 2) + 3.
inline F32x16 row_sums(F32x16 a) {
  const __m512 sum01 = _mm512_add_ps(_mm512_permute_ps(a.v, 0x00), _mm512_permute_ps(a.v, 0x55));
  return {_mm512_add_ps(_mm512_add_ps(sum01, _mm512_permute_ps(a.v, 0xAA)), _mm512_permute_ps(a.v, 0xFF))};
}
inline F32x16 row_maxima(F32x16 a) {
  const __m512 pairs = _mm512_max_ps(a.v, _mm512_permute_ps(a.v, 0xB1));
  return {_mm512_max_ps(pairs, _mm512_permute_ps(pairs, 0x4E))};
}
inline F32x16 column_sums(F32x16 a) {
  const __m512 sum01 = _mm512_add_ps(_mm512_shuffle_f32x4(a.v, a.v, 0x00), _mm512_shuffle_f32x4(a.v, a.v, 0x55));
  const __m512 sum012 = _mm512_add_ps(sum01, _mm512_shuffle_f32x4(a.v, a.v, 0xAA));
  return {_mm512_add_ps(sum012, _mm512_shuffle_f32x4(a.v, a.v, 0xFF))};
}

}  // namespace
}  // namespace hadal::ops
