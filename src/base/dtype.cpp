#include "base/dtype.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace hadal {
namespace {

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  BlockSize block;
};

constexpr std::array<DTypeInfo, 24> kDTypes = {{
    {DType::kF32, "F32", {1, 4}},
    {DType::kF16, "F16", {1, 2}},
    {DType::kBF16, "BF16", {1, 2}},
    {DType::kF8E4M3, "F8_E4M3", {1, 1}},
    {DType::kF8E5M2, "F8_E5M2", {1, 1}},
    {DType::kF8E8M0, "F8_E8M0", {1, 1}},
    {DType::kF4E2M1, "F4_E2M1", {2, 1}},
    {DType::kI8, "I8", {1, 1}},
    {DType::kU8, "U8", {1, 1}},
    {DType::kI32, "I32", {1, 4}},
    {DType::kI64, "I64", {1, 8}},
    {DType::kF64, "F64", {1, 8}},
    {DType::kBool, "BOOL", {1, 1}},
    {DType::kI16, "I16", {1, 2}},
    {DType::kQ8_0, "Q8_0", {32, 34}},
    {DType::kQ4_0, "Q4_0", {32, 18}},
    {DType::kQ2K, "Q2_K", {256, 84}},
    {DType::kQ3K, "Q3_K", {256, 110}},
    {DType::kQ4K, "Q4_K", {256, 144}},
    {DType::kQ5K, "Q5_K", {256, 176}},
    {DType::kQ6K, "Q6_K", {256, 210}},
    {DType::kIQ2XXS, "IQ2_XXS", {256, 66}},
    {DType::kIQ4XS, "IQ4_XS", {256, 136}},
    {DType::kMXFP4, "MXFP4", {32, 17}},
}};

constexpr bool is_in_order() {
  for (size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].dtype != static_cast<DType>(i)) return false;
  }
  return true;
}
static_assert(is_in_order());

// A binary format with few bits: sign, exponent, `kMantissa` bits of mantissa; `kBias` of its exponent.
//
// Both directions of rounding are exact integer or float steps, so that loops over them become vector code. A normal
// number is rounded in the float's own bits: half a unit is added (a little less when the kept part is even), the carry
// walks into the exponent by itself. A subnormal one is rounded by the adder: next to kShift, floats are as far apart
// as the format's subnormal codes.
template <int kMantissa, int kBias>
struct SmallFloat {
  static constexpr int kDropped = 23 - kMantissa;
  static constexpr uint32_t kHalf = (1u << (kDropped - 1)) - 1;
  static constexpr uint32_t kRebias = static_cast<uint32_t>(127 - kBias) << kMantissa;
  static constexpr float kMinNormal = std::bit_cast<float>(static_cast<uint32_t>(128 - kBias) << 23);
  static constexpr float kShift = std::bit_cast<float>(static_cast<uint32_t>(128 - kBias + kDropped) << 23);

  // The code of a magnitude that does not overflow.
  static uint32_t code(float magnitude) {
    const uint32_t bits = std::bit_cast<uint32_t>(magnitude);
    const uint32_t normal = ((bits + kHalf + ((bits >> kDropped) & 1)) >> kDropped) - kRebias;
    const uint32_t subnormal = std::bit_cast<uint32_t>(magnitude + kShift) - std::bit_cast<uint32_t>(kShift);
    return magnitude < kMinNormal ? subnormal : normal;
  }

  // The same as a number.
  static float round(float magnitude) {
    const uint32_t bits = std::bit_cast<uint32_t>(magnitude);
    const uint32_t normal = (bits + kHalf + ((bits >> kDropped) & 1)) >> kDropped << kDropped;
    const float subnormal = (magnitude + kShift) - kShift;
    // NaN takes the second branch and stays NaN.
    return magnitude >= kMinNormal ? std::bit_cast<float>(normal) : subnormal;
  }
};

using E4M3 = SmallFloat<3, 7>;
using E2M1 = SmallFloat<1, 1>;
using F16 = SmallFloat<10, 15>;

constexpr float kE4M3Max = 448.0f;
constexpr float kE2M1Max = 6.0f;
constexpr float kF16Overflow = 65520.0f;  // halfway between the largest number and the next that does not exist

constexpr uint32_t kMagnitudeMask = 0x7FFFFFFF;
constexpr uint32_t kInfinityBits = 0x7F800000;

uint32_t sign_bit(float v) {
  return std::bit_cast<uint32_t>(v) & ~kMagnitudeMask;
}
bool is_nan(float v) {
  return (std::bit_cast<uint32_t>(v) & kMagnitudeMask) > kInfinityBits;
}
float with_sign_of(float magnitude, float v) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign_bit(v));
}

consteval std::array<float, 256> e4m3_values() {
  std::array<float, 256> values{};
  for (uint32_t code = 0; code < 256; ++code) {
    const uint32_t exponent = (code >> 3) & 0xF;
    const uint32_t mantissa = code & 7;
    float v = static_cast<float>(mantissa) * 0x1p-9f;
    if (exponent != 0) v = std::bit_cast<float>(((exponent + 120) << 23) | (mantissa << 20));
    if (exponent == 15 && mantissa == 7) v = std::numeric_limits<float>::quiet_NaN();
    values[code] = (code & 0x80) != 0 ? -v : v;
  }
  return values;
}

}  // namespace

std::string_view dtype_name(DType dtype) {
  return kDTypes[static_cast<size_t>(dtype)].name;
}

std::optional<DType> parse_dtype(std::string_view name) {
  for (const DTypeInfo& info : kDTypes) {
    if (info.name == name && !is_block_type(info.dtype)) return info.dtype;
  }
  if (name == "F4") return DType::kF4E2M1;
  return std::nullopt;
}

int dtype_bits(DType dtype) {
  const BlockSize block = dtype_block(dtype);
  return 8 * block.bytes / block.values;
}

BlockSize dtype_block(DType dtype) {
  return kDTypes[static_cast<size_t>(dtype)].block;
}

bool is_block_type(DType dtype) {
  return dtype >= DType::kQ8_0;
}

float f16_to_f32(uint16_t code) {
  const uint32_t sign = static_cast<uint32_t>(code & 0x8000) << 16;
  const uint32_t exponent = (code >> 10) & 0x1F;
  const uint32_t mantissa = code & 0x3FF;
  if (exponent == 0)
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(static_cast<float>(mantissa) * 0x1p-24f));
  if (exponent == 31) return std::bit_cast<float>(sign | kInfinityBits | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

float e4m3_to_f32(uint8_t code) {
  static constexpr std::array<float, 256> kValues = e4m3_values();
  return kValues[code];
}

float e5m2_to_f32(uint8_t code) {
  return f16_to_f32(static_cast<uint16_t>(code << 8));
}

float e8m0_to_f32(uint8_t code) {
  if (code == 0xFF) return std::numeric_limits<float>::quiet_NaN();
  if (code == 0) return 0x1p-127f;  // a subnormal: its exponent field is 0
  return std::bit_cast<float>(static_cast<uint32_t>(code) << 23);
}

float e2m1_to_f32(uint8_t code) {
  static constexpr std::array<float, 16> kValues = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                                    -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
  return kValues[code & 0xF];
}

uint16_t f32_to_bf16(float v) {
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

uint16_t f32_to_f16(float v) {
  const uint32_t sign = sign_bit(v) >> 16;
  if (is_nan(v)) return static_cast<uint16_t>(sign | 0x7E00);
  const float magnitude = std::abs(v);
  if (magnitude >= kF16Overflow) return static_cast<uint16_t>(sign | 0x7C00);
  return static_cast<uint16_t>(sign | F16::code(magnitude));
}

uint8_t f32_to_e4m3(float v) {
  const uint32_t code = (sign_bit(v) >> 24) | E4M3::code(std::min(std::abs(v), kE4M3Max));
  return static_cast<uint8_t>(is_nan(v) ? 0x7F : code);
}

uint8_t f32_to_e2m1(float v) {
  const uint32_t code = (sign_bit(v) >> 28) | E2M1::code(std::min(std::abs(v), kE2M1Max));
  return static_cast<uint8_t>(is_nan(v) ? 0x7 : code);
}

namespace {

float amax(const float* x, int n) {
  float m = 0;
  for (int i = 0; i < n; ++i) m = std::max(m, std::abs(x[i]));
  return m;
}

}  // namespace

int e4m3_scale_exponent(const float* x, int n) {
  return ceil_log2(std::max(amax(x, n), 1e-4f) * (1.0f / 448.0f));
}

int e2m1_scale_exponent(const float* x, int n) {
  return ceil_log2(std::max(amax(x, n), 6 * 0x1p-126f) * (1.0f / 6.0f));
}

void fake_quantize_e4m3(float* x, int n, int block) {
  for (int begin = 0; begin < n; begin += block) {
    const int size = std::min(block, n - begin);
    const int e = e4m3_scale_exponent(x + begin, size);
    const float scale = exp2i(e);
    const float inverse = exp2i(-e);
    for (int i = begin; i < begin + size; ++i) {
      const float v = x[i] * inverse;
      x[i] = with_sign_of(E4M3::round(std::min(std::abs(v), kE4M3Max)), v) * scale;
    }
  }
}

void fake_quantize_e4m3_float_scale(float* x, int n, int block) {
  for (int begin = 0; begin < n; begin += block) {
    const int size = std::min(block, n - begin);
    const float scale = std::max(amax(x + begin, size), 1e-4f) * (1.0f / 448.0f);
    for (int i = begin; i < begin + size; ++i) {
      const float v = x[i] / scale;
      x[i] = with_sign_of(E4M3::round(std::min(std::abs(v), kE4M3Max)), v) * scale;
    }
  }
}

void fake_quantize_e2m1(float* x, int n, int block) {
  for (int begin = 0; begin < n; begin += block) {
    const int size = std::min(block, n - begin);
    const int e = e2m1_scale_exponent(x + begin, size);
    const float scale = exp2i(e);
    const float inverse = exp2i(-e);  // e is at least -126 and at most 126
    for (int i = begin; i < begin + size; ++i) {
      const float v = x[i] * inverse;
      x[i] = with_sign_of(E2M1::round(std::min(std::abs(v), kE2M1Max)), v) * scale;
    }
  }
}

void fake_quantize_e2m1_e4m3_scale(float* x, int n, int block) {
  for (int begin = 0; begin < n; begin += block) {
    const int size = std::min(block, n - begin);
    const float scale = E4M3::round(std::min(std::max(amax(x + begin, size), 6 * 0x1p-9f) / 6.0f, kE4M3Max));
    for (int i = begin; i < begin + size; ++i) {
      const float v = x[i] / scale;
      x[i] = with_sign_of(E2M1::round(std::min(std::abs(v), kE2M1Max)), v) * scale;
    }
  }
}

}  // namespace hadal
