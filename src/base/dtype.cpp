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
  int bits;
};

constexpr std::array<DTypeInfo, 14> kDTypes = {{
    {DType::kF32, "F32", 32},
    {DType::kF16, "F16", 16},
    {DType::kBF16, "BF16", 16},
    {DType::kF8E4M3, "F8_E4M3", 8},
    {DType::kF8E5M2, "F8_E5M2", 8},
    {DType::kF8E8M0, "F8_E8M0", 8},
    {DType::kF4E2M1, "F4_E2M1", 4},
    {DType::kI8, "I8", 8},
    {DType::kU8, "U8", 8},
    {DType::kI32, "I32", 32},
    {DType::kI64, "I64", 64},
    {DType::kF64, "F64", 64},
    {DType::kBool, "BOOL", 8},
    {DType::kI16, "I16", 16},
}};

// Rounds |v| to `mantissa_bits` explicit bits with the smallest normal exponent `exponent_min`, ties to even, by adding
// and taking away a number whose unit in the last place is the wanted step.
float round_to_grid(float v, int mantissa_bits, int exponent_min) {
  const uint32_t bits = std::bit_cast<uint32_t>(v) & 0x7FFFFFFF;
  const int exponent = std::max(static_cast<int>(bits >> 23) - 127, exponent_min);
  const float step = std::ldexp(1.0f, exponent - mantissa_bits);
  return std::nearbyint(v / step) * step;
}

}  // namespace

std::string_view dtype_name(DType dtype) { return kDTypes[static_cast<size_t>(dtype)].name; }

std::optional<DType> parse_dtype(std::string_view name) {
  for (const DTypeInfo& info : kDTypes) {
    if (info.name == name) return info.dtype;
  }
  if (name == "F4") return DType::kF4E2M1;
  return std::nullopt;
}

int dtype_bits(DType dtype) { return kDTypes[static_cast<size_t>(dtype)].bits; }

float f16_to_f32(uint16_t code) {
  const uint32_t sign = static_cast<uint32_t>(code & 0x8000) << 16;
  const uint32_t exponent = (code >> 10) & 0x1F;
  const uint32_t mantissa = code & 0x3FF;
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

float e4m3_to_f32(uint8_t code) {
  const int exponent = (code >> 3) & 0xF;
  const int mantissa = code & 7;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                        : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return (code & 0x80) != 0 ? -magnitude : magnitude;
}

float e5m2_to_f32(uint8_t code) { return f16_to_f32(static_cast<uint16_t>(code << 8)); }

float e8m0_to_f32(uint8_t code) {
  if (code == 0xFF) return std::numeric_limits<float>::quiet_NaN();
  return std::ldexp(1.0f, code - 127);
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
  const uint16_t sign = static_cast<uint16_t>((std::bit_cast<uint32_t>(v) >> 16) & 0x8000);
  if (std::isnan(v)) return static_cast<uint16_t>(sign | 0x7E00);
  const float rounded = std::abs(std::isinf(v) ? v : round_to_grid(v, 10, -14));
  if (rounded > 65504.0f) return static_cast<uint16_t>(sign | 0x7C00);
  if (rounded < 0x1p-14f) return static_cast<uint16_t>(sign | static_cast<uint16_t>(rounded * 0x1p24f));
  const uint32_t bits = std::bit_cast<uint32_t>(rounded);
  return static_cast<uint16_t>(sign | (((bits >> 23) - 112) << 10) | ((bits >> 13) & 0x3FF));
}

uint8_t f32_to_e4m3(float v) {
  const uint8_t sign = std::signbit(v) ? 0x80 : 0;
  if (std::isnan(v)) return 0x7F;
  const float magnitude = std::min(std::abs(v), 448.0f);
  const float rounded = round_to_grid(magnitude, 3, -6);
  if (rounded < 0x1p-6f) return static_cast<uint8_t>(sign | static_cast<uint8_t>(rounded * 512.0f));
  const uint32_t bits = std::bit_cast<uint32_t>(rounded);
  return static_cast<uint8_t>(sign | (((bits >> 23) - 120) << 3) | ((bits >> 20) & 7));
}

uint8_t f32_to_e2m1(float v) {
  const uint8_t sign = std::signbit(v) ? 8 : 0;
  if (std::isnan(v)) return 7;
  const float magnitude = std::min(std::abs(v), 6.0f);
  const float rounded = round_to_grid(magnitude, 1, 0);
  if (rounded < 1.0f) return static_cast<uint8_t>(sign | static_cast<uint8_t>(rounded * 2.0f));
  const uint32_t bits = std::bit_cast<uint32_t>(rounded);
  return static_cast<uint8_t>(sign | (((bits >> 23) - 126) << 1) | ((bits >> 22) & 1));
}

namespace {

float amax(const float* x, int n) {
  float m = 0;
  for (int i = 0; i < n; ++i) m = std::max(m, std::abs(x[i]));
  return m;
}

}  // namespace

int e4m3_scale_exponent(const float* x, int n) { return ceil_log2(std::max(amax(x, n), 1e-4f) * (1.0f / 448.0f)); }

int e2m1_scale_exponent(const float* x, int n) { return ceil_log2(std::max(amax(x, n), 6 * 0x1p-126f) * (1.0f / 6.0f)); }

void fake_quantize_e4m3(float* x, int n, int block) {
  for (int begin = 0; begin < n; begin += block) {
    const int size = std::min(block, n - begin);
    const int e = e4m3_scale_exponent(x + begin, size);
    const float scale = exp2i(e);
    const float inverse = exp2i(-e);
    for (int i = begin; i < begin + size; ++i) x[i] = e4m3_to_f32(f32_to_e4m3(x[i] * inverse)) * scale;
  }
}

void fake_quantize_e2m1(float* x, int n, int block) {
  for (int begin = 0; begin < n; begin += block) {
    const int size = std::min(block, n - begin);
    const int e = e2m1_scale_exponent(x + begin, size);
    const float scale = exp2i(e);
    // 2^126 is the largest inverse that a float holds twice; smaller blocks are divided.
    for (int i = begin; i < begin + size; ++i) x[i] = e2m1_to_f32(f32_to_e2m1(x[i] / scale)) * scale;
  }
}

}  // namespace hadal
