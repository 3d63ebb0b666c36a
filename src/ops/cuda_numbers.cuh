// Number formats on the device: the conversions of base/dtype.h, bit for bit for every code and every finite float.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace hadal::ops {

__device__ inline float bf16_value(uint16_t code) {
  return __uint_as_float(static_cast<uint32_t>(code) << 16);
}
__device__ inline uint16_t bf16_code(float v) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(v));
}

__device__ inline float f16_value(uint16_t code) {
  return __half2float(__ushort_as_half(code));
}

// The code's exponent and mantissa at the top of a float's are the value times 2^-120, subnormals included.
__device__ inline float e4m3_value(uint8_t code) {
  const uint32_t magnitude = code & 0x7F;
  const uint32_t sign = static_cast<uint32_t>(code & 0x80) << 24;
  if (magnitude == 0x7F) return __uint_as_float(0x7FC00000 | sign);
  return __uint_as_float(sign | magnitude << 20) * 0x1p120f;
}

__device__ inline float e8m0_value(uint8_t code) {
  if (code == 0xFF) return __uint_as_float(0x7FC00000);
  return __uint_as_float(code == 0 ? 0x00400000 : static_cast<uint32_t>(code) << 23);
}

// As e4m3_value, with two bits of exponent and one of mantissa.
__device__ inline float e2m1_value(uint32_t code) {
  return __uint_as_float((code & 8) << 28 | (code & 7) << 22) * 0x1p126f;
}

// --- rounding --------------------------------------------------------------------------------------------------------

// SmallFloat of base/dtype.cpp: a format with few bits; its comment has the idea.
template <int kMantissa, int kBias>
struct SmallFloat {
  static constexpr int kDropped = 23 - kMantissa;
  static constexpr uint32_t kHalf = (1u << (kDropped - 1)) - 1;
  static constexpr uint32_t kRebias = static_cast<uint32_t>(127 - kBias) << kMantissa;
  static constexpr uint32_t kMinNormalBits = static_cast<uint32_t>(128 - kBias) << 23;
  static constexpr uint32_t kShiftBits = static_cast<uint32_t>(128 - kBias + kDropped) << 23;

  __device__ static uint32_t code(float magnitude) {
    const uint32_t bits = __float_as_uint(magnitude);
    const uint32_t normal = ((bits + kHalf + ((bits >> kDropped) & 1)) >> kDropped) - kRebias;
    const uint32_t subnormal = __float_as_uint(magnitude + __uint_as_float(kShiftBits)) - kShiftBits;
    return magnitude < __uint_as_float(kMinNormalBits) ? subnormal : normal;
  }
  __device__ static float round(float magnitude) {
    const uint32_t bits = __float_as_uint(magnitude);
    const uint32_t normal = (bits + kHalf + ((bits >> kDropped) & 1)) >> kDropped << kDropped;
    const float shift = __uint_as_float(kShiftBits);
    // NaN takes the second branch and stays NaN.
    return magnitude >= __uint_as_float(kMinNormalBits) ? __uint_as_float(normal) : (magnitude + shift) - shift;
  }
};

using E4M3 = SmallFloat<3, 7>;
using E2M1 = SmallFloat<1, 1>;

// min that keeps NaN in its first argument, as std::min does.
__device__ inline float cut(float v, float limit) {
  return limit < v ? limit : v;
}

__device__ inline uint8_t e4m3_code(float v) {
  if (isnan(v)) return 0x7F;
  return static_cast<uint8_t>((__float_as_uint(v) & 0x80000000) >> 24 | E4M3::code(cut(fabsf(v), 448.0f)));
}
__device__ inline uint8_t e2m1_code(float v) {
  if (isnan(v)) return 0x7;
  return static_cast<uint8_t>((__float_as_uint(v) & 0x80000000) >> 28 | E2M1::code(cut(fabsf(v), 6.0f)));
}

__device__ inline int ceil_log2(float v) {
  const uint32_t bits = __float_as_uint(v);
  return static_cast<int>(bits >> 23) - 127 + ((bits & 0x7FFFFF) != 0 ? 1 : 0);
}
__device__ inline float exp2_int(int e) {
  return __uint_as_float(static_cast<uint32_t>(e + 127) << 23);
}

// Scale exponents of a block whose largest magnitude is amax.
__device__ inline int e4m3_exponent(float amax) {
  return ceil_log2(fmaxf(amax, 1e-4f) * (1.0f / 448.0f));
}
__device__ inline int e2m1_exponent(float amax) {
  return ceil_log2(fmaxf(amax, 6 * 0x1p-126f) * (1.0f / 6.0f));
}

// v to the format with scale 2^e and back.
__device__ inline float round_e4m3(float v, int e) {
  const float scaled = v * exp2_int(-e);
  return copysignf(E4M3::round(cut(fabsf(scaled), 448.0f)), scaled) * exp2_int(e);
}
__device__ inline float round_e2m1(float v, int e) {
  const float scaled = v * exp2_int(-e);
  return copysignf(E2M1::round(cut(fabsf(scaled), 6.0f)), scaled) * exp2_int(e);
}

}  // namespace hadal::ops
