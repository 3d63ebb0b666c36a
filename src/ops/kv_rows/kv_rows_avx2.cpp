// Row coders with AVX2 and F16C: the steps of the AVX-512 version on 8 channels at a time.
#include <immintrin.h>

#include <cstring>

#include "base/dtype.h"
#include "ops/kv_rows/kv_rows_kernels.h"

namespace hadal::ops {
namespace {

// --- scales
// ------------------------------------------------------------------------------------------------------------

// base/dtype.h's e8m0_to_f32, exp2i and ceil_log2: those may not be instantiated in this file.
float e8m0(std::byte code) {
  const auto c = static_cast<uint32_t>(code);
  const uint32_t bits = c == 0 ? 0x00400000u : c == 0xFF ? 0x7FC00000u : c << 23;
  float v;
  std::memcpy(&v, &bits, 4);
  return v;
}

float power_of_two(int e) {
  const uint32_t bits = static_cast<uint32_t>(e + 127) << 23;
  float v;
  std::memcpy(&v, &bits, 4);
  return v;
}

int rounded_up_log2(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  return static_cast<int>(bits >> 23) - 127 + ((bits & 0x7FFFFF) != 0 ? 1 : 0);
}

__m256 absolute(__m256 v) {
  return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

// The largest |x[i]|; NaNs do not count (max_ps gives its second operand then).
float amax(const float* x, int64_t n) {
  __m256 m = _mm256_setzero_ps();
  for (int64_t i = 0; i < n; i += 8) m = _mm256_max_ps(absolute(_mm256_loadu_ps(x + i)), m);
  __m128 a = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
  a = _mm_max_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_max_ss(a, _mm_shuffle_ps(a, a, 1)));
}

int e4m3_exponent(const float* x, int64_t n) {
  const float a = amax(x, n);
  return rounded_up_log2((a > 1e-4f ? a : 1e-4f) * (1.0f / 448.0f));
}

int e2m1_exponent(const float* x) {
  const float a = amax(x, kFp4Block);
  return rounded_up_log2((a > 6 * 0x1p-126f ? a : 6 * 0x1p-126f) * (1.0f / 6.0f));
}

// --- rounding to a grid, on magnitudes
// -----------------------------------------------------------------------------------

// A magnitude in [2^e_min, max] to `bits` mantissa bits, ties to even, on the bit pattern.
template <int bits>
__m256 round_mantissa(__m256 magnitude) {
  const __m256i x = _mm256_castps_si256(magnitude);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(x, 23 - bits), _mm256_set1_epi32(1));
  const __m256i half = _mm256_set1_epi32((1 << (22 - bits)) - 1);
  const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(x, half), odd);
  return _mm256_castsi256_ps(_mm256_and_si256(sum, _mm256_set1_epi32(static_cast<int>(~0u << (23 - bits)))));
}

// A small magnitude to multiples of the last place of `shifter`, ties to even.
__m256 round_by_shifter(__m256 magnitude, float shifter) {
  const __m256 s = _mm256_set1_ps(shifter);
  return _mm256_sub_ps(_mm256_add_ps(magnitude, s), s);
}

// min(|v|, 448) rounded to E4M3; NaN gives NaN of some kind, which callers replace.
__m256 e4m3_magnitude(__m256 v) {
  const __m256 m = _mm256_min_ps(_mm256_set1_ps(448.0f), absolute(v));
  const __m256 is_subnormal = _mm256_cmp_ps(m, _mm256_set1_ps(0x1p-6f), _CMP_LT_OQ);
  return _mm256_blendv_ps(round_mantissa<3>(m), round_by_shifter(m, 0x1p14f), is_subnormal);
}

// min(|v|, 6) rounded to E2M1; NaN gives 6.
__m256 e2m1_magnitude(__m256 v) {
  const __m256 m = _mm256_min_ps(absolute(v), _mm256_set1_ps(6.0f));
  const __m256 is_subnormal = _mm256_cmp_ps(m, _mm256_set1_ps(1.0f), _CMP_LT_OQ);
  return _mm256_blendv_ps(round_mantissa<1>(m), round_by_shifter(m, 0x1p22f), is_subnormal);
}

// The sign bits of v; 0 for NaN, which the formats hold without a sign.
__m256 sign_of(__m256 v) {
  return _mm256_and_ps(_mm256_and_ps(v, _mm256_set1_ps(-0.0f)), _mm256_cmp_ps(v, v, _CMP_ORD_Q));
}

__m256 is_nan(__m256 v) {
  return _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
}

// --- round
// ----------------------------------------------------------------------------------------------------------------

void round_e4m3(float* x, int64_t n) {
  for (int64_t begin = 0; begin < n; begin += kFp8Block) {
    const int64_t end = begin + kFp8Block < n ? begin + kFp8Block : n;
    const int e = e4m3_exponent(x + begin, end - begin);
    const __m256 scale = _mm256_set1_ps(power_of_two(e));
    const __m256 inverse = _mm256_set1_ps(power_of_two(-e));
    for (int64_t i = begin; i < end; i += 8) {
      const __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), inverse);
      const __m256 y = _mm256_mul_ps(_mm256_or_ps(e4m3_magnitude(v), sign_of(v)), scale);
      _mm256_storeu_ps(x + i, _mm256_blendv_ps(y, _mm256_set1_ps(__builtin_nanf("")), is_nan(v)));
    }
  }
}

void round_e2m1(float* x, int64_t n) {
  for (int64_t begin = 0; begin < n; begin += kFp4Block) {
    const int e = e2m1_exponent(x + begin);
    const __m256 scale = _mm256_set1_ps(power_of_two(e));
    const __m256 inverse = _mm256_set1_ps(power_of_two(-e));
    for (int64_t i = begin; i < begin + kFp4Block; i += 8) {
      const __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), inverse);
      _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_or_ps(e2m1_magnitude(v), sign_of(v)), scale));
    }
  }
}

// Distance 1, 2 or 4 inside a register: lanes of `upper` get partner - x, the others x + partner.
template <int upper>
__m256 butterfly(__m256 x, __m256 partner) {
  return _mm256_blend_ps(_mm256_add_ps(x, partner), _mm256_sub_ps(partner, x), upper);
}

// The same butterflies as the reference's.
void hadamard(float* x, int64_t D) {
  for (int64_t i = 0; i < D; i += 8) {
    __m256 v = _mm256_loadu_ps(x + i);
    v = butterfly<0xAA>(v, _mm256_permute_ps(v, 0xB1));
    v = butterfly<0xCC>(v, _mm256_permute_ps(v, 0x4E));
    v = butterfly<0xF0>(v, _mm256_permute2f128_ps(v, v, 0x01));
    _mm256_storeu_ps(x + i, v);
  }
  for (int64_t step = 8; step < D; step *= 2) {
    for (int64_t i = 0; i < D; i += 2 * step) {
      for (int64_t j = i; j < i + step; j += 8) {
        const __m256 a = _mm256_loadu_ps(x + j);
        const __m256 b = _mm256_loadu_ps(x + j + step);
        _mm256_storeu_ps(x + j, _mm256_add_ps(a, b));
        _mm256_storeu_ps(x + j + step, _mm256_sub_ps(a, b));
      }
    }
  }
  const __m256 scale = _mm256_set1_ps(static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(D))));
  for (int64_t i = 0; i < D; i += 8) _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i), scale));
}

void round_row(KvRounding rounding, float* x, int64_t D, int64_t rope_dim) {
  if (!has_vector_width(rounding, D, rope_dim)) return round_row_reference(rounding, x, D, rope_dim);
  switch (rounding) {
    case KvRounding::kNone:
      return;
    case KvRounding::kE4m3:
      round_e4m3(x, D - rope_dim);
      return;
    case KvRounding::kHadamard:
      hadamard(x, D);
      return;
    case KvRounding::kHadamardE2m1:
      hadamard(x, D);
      round_e2m1(x, D);
      return;
    case KvRounding::kE4m3By128:
      fake_quantize_e4m3(x, static_cast<int>(D - rope_dim), kFp8WideBlock);
      return;
    case KvRounding::kHadamardE4m3:
      hadamard(x, D);
      fake_quantize_e4m3(x, static_cast<int>(D), kFp8WideBlock);
      return;
    case KvRounding::kE4m3By32:
      fake_quantize_e4m3(x, static_cast<int>(D), kFp8NarrowBlock);
      return;
    case KvRounding::kE2m1By16:
      fake_quantize_e2m1_e4m3_scale(x, static_cast<int>(D), kFp4NarrowBlock);
      return;
    case KvRounding::kE2m1By32:
      round_e2m1(x, D);
      return;
  }
}

// --- encode
// ---------------------------------------------------------------------------------------------------------------

// The low bytes or low halves of 8 integers that fit them, packed.
void store_low_bytes(__m256i v, std::byte* out) {
  const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_packus_epi16(halves, halves));
}

void encode_bf16(const float* x, int64_t n, std::byte* out) {
  for (int64_t i = 0; i < n; i += 8) {
    const __m256 v = _mm256_loadu_ps(x + i);
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i chosen = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(is_nan(v)));
    const __m256i code = _mm256_srli_epi32(chosen, 16);
    const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(code), _mm256_extracti128_si256(code, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 2 * i), halves);
  }
}

// 8 codes of v / scale.
__m256i e4m3_codes(__m256 v) {
  const __m256 m = e4m3_magnitude(v);
  const __m256i is_subnormal = _mm256_castps_si256(_mm256_cmp_ps(m, _mm256_set1_ps(0x1p-6f), _CMP_LT_OQ));
  // Exponent and three bits, the bias moved from 127 to 7; below 2^-6 the multiple of 2^-9.
  const __m256i normal = _mm256_sub_epi32(_mm256_srli_epi32(_mm256_castps_si256(m), 20), _mm256_set1_epi32(120 << 3));
  const __m256i multiple = _mm256_cvtps_epi32(_mm256_mul_ps(m, _mm256_set1_ps(512.0f)));
  const __m256i sign = _mm256_srli_epi32(_mm256_castps_si256(sign_of(v)), 24);
  const __m256i code = _mm256_or_si256(_mm256_blendv_epi8(normal, multiple, is_subnormal), sign);
  return _mm256_blendv_epi8(code, _mm256_set1_epi32(0x7F), _mm256_castps_si256(is_nan(v)));
}

__m256i e2m1_codes(__m256 v) {
  const __m256 m = e2m1_magnitude(v);
  const __m256i is_subnormal = _mm256_castps_si256(_mm256_cmp_ps(m, _mm256_set1_ps(1.0f), _CMP_LT_OQ));
  const __m256i normal = _mm256_sub_epi32(_mm256_srli_epi32(_mm256_castps_si256(m), 22), _mm256_set1_epi32(126 << 1));
  const __m256i multiple = _mm256_cvtps_epi32(_mm256_add_ps(m, m));
  const __m256i sign = _mm256_srli_epi32(_mm256_castps_si256(sign_of(v)), 28);
  return _mm256_or_si256(_mm256_blendv_epi8(normal, multiple, is_subnormal), sign);
}

// Codes [begin, end) of a row, which share a scale; returns its exponent.
int encode_e4m3_block(const float* x, int64_t begin, int64_t end, std::byte* out) {
  const int e = e4m3_exponent(x + begin, end - begin);
  const __m256 inverse = _mm256_set1_ps(power_of_two(-e));
  for (int64_t i = begin; i < end; i += 8) {
    store_low_bytes(e4m3_codes(_mm256_mul_ps(_mm256_loadu_ps(x + i), inverse)), out + i);
  }
  return e;
}

void encode_fp8(const float* x, int64_t D, int64_t rope_dim, std::byte* out) {
  const int64_t nope = D - rope_dim;
  encode_bf16(x + nope, rope_dim, out + nope);
  std::byte* scales = out + nope + 2 * rope_dim;
  const int64_t n_scales = (nope + kFp8Block - 1) / kFp8Block;
  for (int64_t b = 0; b < n_scales; ++b) {
    const int64_t begin = b * kFp8Block;
    const int64_t end = begin + kFp8Block < nope ? begin + kFp8Block : nope;
    scales[b] = static_cast<std::byte>(encode_e4m3_block(x, begin, end, out) + 127);
  }
  const int64_t used = nope + 2 * rope_dim + n_scales;
  for (int64_t i = used; i % 8 != 0; ++i) out[i] = std::byte{0};
}

void encode_fp8_by_128(const float* x, int64_t D, int64_t rope_dim, std::byte* out) {
  const int64_t nope = D - rope_dim;
  std::byte* scales = out + nope;
  for (int64_t begin = 0; begin < nope; begin += kFp8WideBlock, scales += sizeof(float)) {
    const int64_t end = begin + kFp8WideBlock < nope ? begin + kFp8WideBlock : nope;
    const float scale = power_of_two(encode_e4m3_block(x, begin, end, out));
    std::memcpy(scales, &scale, sizeof scale);
  }
  encode_bf16(x + nope, rope_dim, scales);
}

void encode_fp4(const float* x, int64_t D, std::byte* out) {
  for (int64_t begin = 0; begin < D; begin += kFp4Block) {
    const int e = e2m1_exponent(x + begin);
    out[D / 2 + begin / kFp4Block] = static_cast<std::byte>(e + 127);
    const __m256 inverse = _mm256_set1_ps(power_of_two(-e));
    std::byte codes[kFp4Block];
    for (int64_t i = 0; i < kFp4Block; i += 8) {
      store_low_bytes(e2m1_codes(_mm256_mul_ps(_mm256_loadu_ps(x + begin + i), inverse)), codes + i);
    }
    for (int64_t i = 0; i < kFp4Block / 2; ++i) out[begin / 2 + i] = codes[2 * i] | codes[2 * i + 1] << 4;
  }
}

void encode(KvFormat format, const float* x, int64_t D, int64_t rope_dim, std::byte* out) {
  if (!has_vector_width(format, D, rope_dim)) return encode_row(format, x, D, rope_dim, out);
  switch (format) {
    case KvFormat::kF32:
      std::memcpy(out, x, static_cast<size_t>(D) * 4);
      return;
    case KvFormat::kBf16:
      encode_bf16(x, D, out);
      return;
    case KvFormat::kFp8:
      encode_fp8(x, D, rope_dim, out);
      return;
    case KvFormat::kFp4:
      encode_fp4(x, D, out);
      return;
    case KvFormat::kFp8By128:
      encode_fp8_by_128(x, D, rope_dim, out);
      return;
  }
}

// --- decode
// ---------------------------------------------------------------------------------------------------------------

void decode_bf16(const std::byte* row, int64_t n, float* x) {
  for (int64_t i = 0; i < n; i += 8) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + 2 * i));
    _mm256_storeu_ps(x + i, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(codes), 16)));
  }
}

// E4M3 and F16 have the same fields, with biases of 7 and 15: the code moved to F16's places is the value times 2^-8,
// subnormals included. Scaling it back in its own step keeps the product with any E8M0 exact. Only NaN is another code.
__m256 e4m3_values(__m128i codes, __m256 scale) {
  const __m128i moved = _mm_slli_epi16(_mm_cvtepi8_epi16(codes), 7);  // the sign comes twice, at 15 and 14
  const __m128i half = _mm_and_si128(moved, _mm_set1_epi16(static_cast<short>(0xBF80)));
  const __m128i magnitude = _mm_and_si128(codes, _mm_set1_epi8(0x7F));
  const __m256i nan = _mm256_cvtepi8_epi32(_mm_cmpeq_epi8(magnitude, _mm_set1_epi8(0x7F)));
  const __m256 value = _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256.0f));
  const __m256 y = _mm256_mul_ps(value, scale);
  return _mm256_blendv_ps(y, _mm256_set1_ps(__builtin_nanf("")), _mm256_castsi256_ps(nan));
}

// Codes [begin, end) of a row, which share a scale.
void decode_e4m3_block(const std::byte* row, int64_t begin, int64_t end, float block_scale, float* x) {
  const __m256 scale = _mm256_set1_ps(block_scale);
  for (int64_t i = begin; i < end; i += 8) {
    _mm256_storeu_ps(x + i, e4m3_values(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + i)), scale));
  }
}

void decode_fp8(const std::byte* row, int64_t D, int64_t rope_dim, float* x) {
  const int64_t nope = D - rope_dim;
  const std::byte* scales = row + nope + 2 * rope_dim;
  for (int64_t begin = 0; begin < nope; begin += kFp8Block) {
    const int64_t end = begin + kFp8Block < nope ? begin + kFp8Block : nope;
    decode_e4m3_block(row, begin, end, e8m0(scales[begin / kFp8Block]), x);
  }
  decode_bf16(row + nope, rope_dim, x + nope);
}

void decode_fp8_by_128(const std::byte* row, int64_t D, int64_t rope_dim, float* x) {
  const int64_t nope = D - rope_dim;
  const std::byte* scales = row + nope;
  for (int64_t begin = 0; begin < nope; begin += kFp8WideBlock, scales += sizeof(float)) {
    const int64_t end = begin + kFp8WideBlock < nope ? begin + kFp8WideBlock : nope;
    float scale;
    std::memcpy(&scale, scales, sizeof scale);
    decode_e4m3_block(row, begin, end, scale, x);
  }
  decode_bf16(scales, rope_dim, x + nope);
}

void decode_fp4(const std::byte* row, int64_t D, float* x) {
  // Twice the values as bytes, so that one shuffle looks 16 codes up; halving is exact. -0 is lost and put back.
  const __m128i doubled = _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
  for (int64_t begin = 0; begin < D; begin += kFp4Block) {
    const __m256 scale = _mm256_set1_ps(e8m0(row[D / 2 + begin / kFp4Block]));
    const __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + begin / 2));
    const __m128i even = _mm_and_si128(pairs, _mm_set1_epi8(0x0F));
    const __m128i odd = _mm_and_si128(_mm_srli_epi16(pairs, 4), _mm_set1_epi8(0x0F));
    const __m128i codes[2] = {_mm_unpacklo_epi8(even, odd), _mm_unpackhi_epi8(even, odd)};
    for (int64_t i = 0; i < kFp4Block; i += 8) {
      __m128i c = codes[i / 16];
      if (i % 16 != 0) c = _mm_unpackhi_epi64(c, c);
      const __m256 twice = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_shuffle_epi8(doubled, c)));
      const __m256i sign = _mm256_slli_epi32(_mm256_and_si256(_mm256_cvtepu8_epi32(c), _mm256_set1_epi32(8)), 28);
      const __m256 value = _mm256_or_ps(_mm256_mul_ps(twice, _mm256_set1_ps(0.5f)), _mm256_castsi256_ps(sign));
      _mm256_storeu_ps(x + begin + i, _mm256_mul_ps(value, scale));
    }
  }
}

void decode(KvFormat format, const std::byte* row, int64_t D, int64_t rope_dim, float* x) {
  if (!has_vector_width(format, D, rope_dim)) return decode_row_reference(format, row, D, rope_dim, x);
  switch (format) {
    case KvFormat::kF32:
      std::memcpy(x, row, static_cast<size_t>(D) * 4);
      return;
    case KvFormat::kBf16:
      decode_bf16(row, D, x);
      return;
    case KvFormat::kFp8:
      decode_fp8(row, D, rope_dim, x);
      return;
    case KvFormat::kFp4:
      decode_fp4(row, D, x);
      return;
    case KvFormat::kFp8By128:
      decode_fp8_by_128(row, D, rope_dim, x);
      return;
  }
}

}  // namespace

const KvRowKernels kKvRowKernelsAvx2 = {
    .level = CpuLevel::kAvx2, .round = round_row, .encode = encode, .decode = decode};

}  // namespace hadal::ops
