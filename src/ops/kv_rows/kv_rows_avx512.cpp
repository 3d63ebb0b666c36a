// Row coders with AVX-512: 16 channels at a time, the scale of a block found once.
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

// The largest |x[i]|; NaNs do not count (max_ps gives its second operand then).
float amax(const float* x, int64_t n) {
  __m512 m = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; i += 16) m = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x + i)), m);
  return _mm512_reduce_max_ps(m);
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

// |v| in [2^e_min, max] to `bits` mantissa bits, ties to even, on the bit pattern.
template <int bits>
__m512 round_mantissa(__m512 magnitude) {
  const __m512i x = _mm512_castps_si512(magnitude);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(x, 23 - bits), _mm512_set1_epi32(1));
  const __m512i half = _mm512_set1_epi32((1 << (22 - bits)) - 1);
  const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(x, half), odd);
  return _mm512_castsi512_ps(_mm512_and_si512(sum, _mm512_set1_epi32(static_cast<int>(~0u << (23 - bits)))));
}

// A small magnitude to multiples of the last place of `shifter`, ties to even.
__m512 round_by_shifter(__m512 magnitude, float shifter) {
  const __m512 s = _mm512_set1_ps(shifter);
  return _mm512_sub_ps(_mm512_add_ps(magnitude, s), s);
}

// min(|v|, 448) rounded to E4M3; NaN gives NaN of some kind, which callers replace.
__m512 e4m3_magnitude(__m512 v) {
  const __m512 m = _mm512_min_ps(_mm512_set1_ps(448.0f), _mm512_abs_ps(v));
  const __mmask16 is_subnormal = _mm512_cmp_ps_mask(m, _mm512_set1_ps(0x1p-6f), _CMP_LT_OQ);
  return _mm512_mask_mov_ps(round_mantissa<3>(m), is_subnormal, round_by_shifter(m, 0x1p14f));
}

// min(|v|, 6) rounded to E2M1; NaN gives 6.
__m512 e2m1_magnitude(__m512 v) {
  const __m512 m = _mm512_min_ps(_mm512_abs_ps(v), _mm512_set1_ps(6.0f));
  const __mmask16 is_subnormal = _mm512_cmp_ps_mask(m, _mm512_set1_ps(1.0f), _CMP_LT_OQ);
  return _mm512_mask_mov_ps(round_mantissa<1>(m), is_subnormal, round_by_shifter(m, 0x1p22f));
}

// The sign bits of v; 0 for NaN, which the formats hold without a sign.
__m512i sign_of(__m512 v) {
  const __mmask16 is_number = _mm512_cmp_ps_mask(v, v, _CMP_ORD_Q);
  return _mm512_maskz_and_epi32(is_number, _mm512_castps_si512(v), _mm512_set1_epi32(static_cast<int>(0x80000000u)));
}

__m512 with_sign(__m512 magnitude, __m512i sign) {
  return _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(magnitude), sign));
}

// --- round
// ----------------------------------------------------------------------------------------------------------------

void round_e4m3(float* x, int64_t n) {
  for (int64_t begin = 0; begin < n; begin += kFp8Block) {
    const int64_t end = begin + kFp8Block < n ? begin + kFp8Block : n;
    const int e = e4m3_exponent(x + begin, end - begin);
    const __m512 scale = _mm512_set1_ps(power_of_two(e));
    const __m512 inverse = _mm512_set1_ps(power_of_two(-e));
    for (int64_t i = begin; i < end; i += 16) {
      const __m512 v = _mm512_mul_ps(_mm512_loadu_ps(x + i), inverse);
      const __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
      const __m512 y = _mm512_mul_ps(with_sign(e4m3_magnitude(v), sign_of(v)), scale);
      _mm512_storeu_ps(x + i, _mm512_mask_mov_ps(y, is_nan, _mm512_set1_ps(__builtin_nanf(""))));
    }
  }
}

void round_e2m1(float* x, int64_t n) {
  for (int64_t begin = 0; begin < n; begin += kFp4Block) {
    const int e = e2m1_exponent(x + begin);
    const __m512 scale = _mm512_set1_ps(power_of_two(e));
    const __m512 inverse = _mm512_set1_ps(power_of_two(-e));
    for (int64_t i = begin; i < begin + kFp4Block; i += 16) {
      const __m512 v = _mm512_mul_ps(_mm512_loadu_ps(x + i), inverse);
      _mm512_storeu_ps(x + i, _mm512_mul_ps(with_sign(e2m1_magnitude(v), sign_of(v)), scale));
    }
  }
}

// Lanes with a bit of `upper` hold the second member of a pair: there partner - x, elsewhere x + partner.
__m512 butterfly(__m512 x, __m512 partner, __mmask16 upper) {
  return _mm512_mask_sub_ps(_mm512_add_ps(x, partner), upper, partner, x);
}

// The same butterflies as the reference's, distances 1 to 8 inside a register.
void hadamard(float* x, int64_t D) {
  for (int64_t i = 0; i < D; i += 16) {
    __m512 v = _mm512_loadu_ps(x + i);
    v = butterfly(v, _mm512_permute_ps(v, 0xB1), 0xAAAA);
    v = butterfly(v, _mm512_permute_ps(v, 0x4E), 0xCCCC);
    v = butterfly(v, _mm512_shuffle_f32x4(v, v, 0xB1), 0xF0F0);
    v = butterfly(v, _mm512_shuffle_f32x4(v, v, 0x4E), 0xFF00);
    _mm512_storeu_ps(x + i, v);
  }
  for (int64_t step = 16; step < D; step *= 2) {
    for (int64_t i = 0; i < D; i += 2 * step) {
      for (int64_t j = i; j < i + step; j += 16) {
        const __m512 a = _mm512_loadu_ps(x + j);
        const __m512 b = _mm512_loadu_ps(x + j + step);
        _mm512_storeu_ps(x + j, _mm512_add_ps(a, b));
        _mm512_storeu_ps(x + j + step, _mm512_sub_ps(a, b));
      }
    }
  }
  const __m512 scale = _mm512_set1_ps(static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(D))));
  for (int64_t i = 0; i < D; i += 16) _mm512_storeu_ps(x + i, _mm512_mul_ps(_mm512_loadu_ps(x + i), scale));
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

void encode_bf16(const float* x, int64_t n, std::byte* out) {
  for (int64_t i = 0; i < n; i += 16) {
    const __m512 v = _mm512_loadu_ps(x + i);
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
    const __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const __m512i code = _mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, is_nan, quiet), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 2 * i), _mm512_cvtepi32_epi16(code));
  }
}

// 16 codes of v / scale, one a byte.
__m128i e4m3_codes(__m512 v) {
  const __m512 m = e4m3_magnitude(v);
  const __mmask16 is_subnormal = _mm512_cmp_ps_mask(m, _mm512_set1_ps(0x1p-6f), _CMP_LT_OQ);
  const __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  // Exponent and three bits, the bias moved from 127 to 7; below 2^-6 the multiple of 2^-9.
  __m512i code = _mm512_sub_epi32(_mm512_srli_epi32(_mm512_castps_si512(m), 20), _mm512_set1_epi32(120 << 3));
  code = _mm512_mask_mov_epi32(code, is_subnormal, _mm512_cvtps_epi32(_mm512_mul_ps(m, _mm512_set1_ps(512.0f))));
  code = _mm512_or_si512(code, _mm512_srli_epi32(sign_of(v), 24));
  return _mm512_cvtepi32_epi8(_mm512_mask_mov_epi32(code, is_nan, _mm512_set1_epi32(0x7F)));
}

__m128i e2m1_codes(__m512 v) {
  const __m512 m = e2m1_magnitude(v);
  const __mmask16 is_subnormal = _mm512_cmp_ps_mask(m, _mm512_set1_ps(1.0f), _CMP_LT_OQ);
  __m512i code = _mm512_sub_epi32(_mm512_srli_epi32(_mm512_castps_si512(m), 22), _mm512_set1_epi32(126 << 1));
  code = _mm512_mask_mov_epi32(code, is_subnormal, _mm512_cvtps_epi32(_mm512_add_ps(m, m)));
  return _mm512_cvtepi32_epi8(_mm512_or_si512(code, _mm512_srli_epi32(sign_of(v), 28)));
}

// Codes [begin, end) of a row, which share a scale; returns its exponent.
int encode_e4m3_block(const float* x, int64_t begin, int64_t end, std::byte* out) {
  const int e = e4m3_exponent(x + begin, end - begin);
  const __m512 inverse = _mm512_set1_ps(power_of_two(-e));
  for (int64_t i = begin; i < end; i += 16) {
    const __m128i codes = e4m3_codes(_mm512_mul_ps(_mm512_loadu_ps(x + i), inverse));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), codes);
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
    const __m512 inverse = _mm512_set1_ps(power_of_two(-e));
    const __m128i low = e2m1_codes(_mm512_mul_ps(_mm512_loadu_ps(x + begin), inverse));
    const __m128i high = e2m1_codes(_mm512_mul_ps(_mm512_loadu_ps(x + begin + 16), inverse));
    const __m256i codes = _mm256_set_m128i(high, low);
    const __m256i pairs = _mm256_or_si256(codes, _mm256_srli_epi16(codes, 4));  // the odd code into the upper nibble
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + begin / 2), _mm256_cvtepi16_epi8(pairs));
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
  for (int64_t i = 0; i < n; i += 16) {
    const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + 2 * i));
    _mm512_storeu_ps(x + i, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(codes), 16)));
  }
}

// E4M3 and F16 have the same fields, with biases of 7 and 15: the code moved to F16's places is the value times 2^-8,
// subnormals included. Scaling it back in its own step keeps the product with any E8M0 exact. Only NaN is another code.
__m512 e4m3_values(__m128i codes, __m512 scale) {
  const __m256i moved = _mm256_slli_epi16(_mm256_cvtepi8_epi16(codes), 7);  // the sign comes twice, at 15 and 14
  const __m256i half = _mm256_and_si256(moved, _mm256_set1_epi16(static_cast<short>(0xBF80)));
  const __m128i magnitude = _mm_and_si128(codes, _mm_set1_epi8(0x7F));
  const __mmask16 is_nan = _mm_cmpeq_epi8_mask(magnitude, _mm_set1_epi8(0x7F));
  const __m512 value = _mm512_mul_ps(_mm512_cvtph_ps(half), _mm512_set1_ps(256.0f));
  return _mm512_mask_mov_ps(_mm512_mul_ps(value, scale), is_nan, _mm512_set1_ps(__builtin_nanf("")));
}

// Codes [begin, end) of a row, which share a scale.
void decode_e4m3_block(const std::byte* row, int64_t begin, int64_t end, float block_scale, float* x) {
  const __m512 scale = _mm512_set1_ps(block_scale);
  for (int64_t i = begin; i < end; i += 16) {
    _mm512_storeu_ps(x + i, e4m3_values(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row + i)), scale));
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
  const __m512 values = _mm512_setr_ps(0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f,  //
                                       -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f);
  for (int64_t begin = 0; begin < D; begin += kFp4Block) {
    const __m512 scale = _mm512_set1_ps(e8m0(row[D / 2 + begin / kFp4Block]));
    // A byte becomes two: the even code from the lower nibble, the odd one from the upper.
    const __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + begin / 2));
    const __m256i wide = _mm256_cvtepu8_epi16(pairs);
    const __m256i codes = _mm256_and_si256(_mm256_or_si256(wide, _mm256_slli_epi16(wide, 4)), _mm256_set1_epi8(0x0F));
    const __m512i low = _mm512_cvtepu8_epi32(_mm256_castsi256_si128(codes));
    const __m512i high = _mm512_cvtepu8_epi32(_mm256_extracti128_si256(codes, 1));
    _mm512_storeu_ps(x + begin, _mm512_mul_ps(_mm512_permutexvar_ps(low, values), scale));
    _mm512_storeu_ps(x + begin + 16, _mm512_mul_ps(_mm512_permutexvar_ps(high, values), scale));
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

const KvRowKernels kKvRowKernelsAvx512 = {
    .level = CpuLevel::kAvx512, .round = round_row, .encode = encode, .decode = decode};

}  // namespace hadal::ops
