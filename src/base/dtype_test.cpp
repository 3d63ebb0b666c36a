#include "base/dtype.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace hadal {
namespace {

uint32_t bits_of(float v) {
  return std::bit_cast<uint32_t>(v);
}

// The value of a code by the definition of a small float: sign, `exponent_bits`, `mantissa_bits`, bias. In double,
// where every step is exact.
double defined_value(uint32_t code, int exponent_bits, int mantissa_bits, int bias) {
  const uint32_t mantissa = code & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>((code >> mantissa_bits) & ((1u << exponent_bits) - 1));
  const bool is_negative = ((code >> (exponent_bits + mantissa_bits)) & 1) != 0;
  const double fraction = static_cast<double>(mantissa) / (1 << mantissa_bits);
  const double magnitude = exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return is_negative ? -magnitude : magnitude;
}

TEST(DType, every_e4m3_code_has_its_defined_value) {
  for (uint32_t code = 0; code < 256; ++code) {
    const float v = e4m3_to_f32(static_cast<uint8_t>(code));
    if ((code & 0x7F) == 0x7F) {
      EXPECT_TRUE(std::isnan(v)) << code;
    } else {
      EXPECT_EQ(bits_of(v), bits_of(static_cast<float>(defined_value(code, 4, 3, 7)))) << code;
    }
  }
}

TEST(DType, every_e5m2_code_has_its_defined_value) {
  for (uint32_t code = 0; code < 256; ++code) {
    const float v = e5m2_to_f32(static_cast<uint8_t>(code));
    if ((code & 0x7F) > 0x7C) {
      EXPECT_TRUE(std::isnan(v)) << code;
    } else if ((code & 0x7F) == 0x7C) {
      EXPECT_TRUE(std::isinf(v)) << code;
    } else {
      EXPECT_EQ(bits_of(v), bits_of(static_cast<float>(defined_value(code, 5, 2, 15)))) << code;
    }
  }
}

TEST(DType, every_e2m1_code_has_its_defined_value) {
  for (uint32_t code = 0; code < 16; ++code) {
    EXPECT_EQ(bits_of(e2m1_to_f32(static_cast<uint8_t>(code))),
              bits_of(static_cast<float>(defined_value(code, 2, 1, 1))));
    EXPECT_EQ(bits_of(e2m1_to_f32(static_cast<uint8_t>(0xA0 | code))),
              bits_of(e2m1_to_f32(static_cast<uint8_t>(code))));
  }
}

TEST(DType, every_e8m0_code_is_a_power_of_two) {
  for (int code = 0; code < 255; ++code) {
    EXPECT_EQ(static_cast<double>(e8m0_to_f32(static_cast<uint8_t>(code))), std::ldexp(1.0, code - 127)) << code;
  }
  EXPECT_TRUE(std::isnan(e8m0_to_f32(0xFF)));
  EXPECT_EQ(bits_of(e8m0_to_f32(0)), 0x00400000u);  // a subnormal
}

TEST(DType, every_f16_and_bf16_code_has_its_defined_value_and_comes_back) {
  for (uint32_t code = 0; code < 65536; ++code) {
    const float half = f16_to_f32(static_cast<uint16_t>(code));
    if ((code & 0x7FFF) > 0x7C00) {
      ASSERT_TRUE(std::isnan(half)) << code;
      ASSERT_TRUE(std::isnan(f16_to_f32(f32_to_f16(half)))) << code;
    } else {
      const float want = (code & 0x7FFF) == 0x7C00 ? std::copysign(std::numeric_limits<float>::infinity(), half)
                                                   : static_cast<float>(defined_value(code, 5, 10, 15));
      ASSERT_EQ(bits_of(half), bits_of(want)) << code;
      ASSERT_EQ(f32_to_f16(half), code);
    }
    const float brain = bf16_to_f32(static_cast<uint16_t>(code));
    ASSERT_EQ(bits_of(brain), code << 16);
    if ((code & 0x7FFF) > 0x7F80) {
      ASSERT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(brain)))) << code;
    } else {
      ASSERT_EQ(f32_to_bf16(brain), code);
    }
  }
}

TEST(DType, every_e4m3_and_e2m1_code_comes_back) {
  for (uint32_t code = 0; code < 256; ++code) {
    if ((code & 0x7F) == 0x7F) continue;
    EXPECT_EQ(f32_to_e4m3(e4m3_to_f32(static_cast<uint8_t>(code))), code);
  }
  for (uint32_t code = 0; code < 16; ++code) EXPECT_EQ(f32_to_e2m1(e2m1_to_f32(static_cast<uint8_t>(code))), code);
}

// Nearest of the non-negative codes [0, n_codes) by search, ties to the even code.
template <class Decode>
uint32_t nearest_code(double v, uint32_t n_codes, Decode decode) {
  uint32_t best = 0;
  for (uint32_t code = 1; code < n_codes; ++code) {
    const double distance = std::abs(v - decode(code));
    const double best_distance = std::abs(v - decode(best));
    if (distance < best_distance || (distance == best_distance && code % 2 == 0)) best = code;
  }
  return best;
}

// Floats around every code and every midpoint of two codes, and a spread over all exponents.
template <class Decode>
std::vector<float> probes(uint32_t n_codes, Decode decode) {
  std::vector<float> out = {0.0f, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max(),
                            std::numeric_limits<float>::infinity()};
  const auto around = [&](float v) {
    out.push_back(v);
    out.push_back(std::nextafter(v, 0.0f));
    out.push_back(std::nextafter(v, std::numeric_limits<float>::infinity()));
  };
  for (uint32_t code = 0; code + 1 < n_codes; ++code) {
    around(static_cast<float>(decode(code)));
    around(static_cast<float>((decode(code) + decode(code + 1)) / 2));
  }
  around(static_cast<float>(decode(n_codes - 1)));
  for (uint64_t bits = 1; bits < 0x7F800000; bits += 0x10FEF)
    out.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  return out;
}

TEST(DType, e4m3_rounds_to_the_nearest_code_and_ties_to_even) {
  const auto decode = [](uint32_t code) { return static_cast<double>(e4m3_to_f32(static_cast<uint8_t>(code))); };
  for (const float v : probes(0x7F, decode)) {
    const uint32_t want = nearest_code(std::min(static_cast<double>(v), 448.0), 0x7F, decode);
    ASSERT_EQ(f32_to_e4m3(v), want) << v;
    ASSERT_EQ(f32_to_e4m3(-v), want | 0x80) << v;
  }
  EXPECT_EQ(f32_to_e4m3(std::numeric_limits<float>::quiet_NaN()), 0x7F);
  EXPECT_EQ(f32_to_e4m3(-std::numeric_limits<float>::quiet_NaN()), 0x7F);
}

TEST(DType, e2m1_rounds_to_the_nearest_code_and_ties_to_even) {
  const auto decode = [](uint32_t code) { return static_cast<double>(e2m1_to_f32(static_cast<uint8_t>(code))); };
  for (const float v : probes(8, decode)) {
    const uint32_t want = nearest_code(std::min(static_cast<double>(v), 6.0), 8, decode);
    ASSERT_EQ(f32_to_e2m1(v), want) << v;
    ASSERT_EQ(f32_to_e2m1(-v), want | 8) << v;
  }
  EXPECT_EQ(f32_to_e2m1(std::numeric_limits<float>::quiet_NaN()), 7);
}

TEST(DType, f16_and_bf16_round_to_the_nearest_code_and_ties_to_even) {
  for (uint32_t code = 0; code < 0x7C00; ++code) {
    const double low = f16_to_f32(static_cast<uint16_t>(code));
    const double high = code == 0x7BFF ? 65536.0 : static_cast<double>(f16_to_f32(static_cast<uint16_t>(code + 1)));
    const auto middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(f32_to_f16(middle), code + (code & 1));
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), code);
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 1e30f)), code + 1);
    ASSERT_EQ(f32_to_f16(-middle), (code + (code & 1)) | 0x8000);
  }
  for (uint32_t code = 0; code < 0x7F80; ++code) {
    const uint32_t middle = (code << 16) | 0x8000;
    ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(middle)), code + (code & 1));
    ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(middle - 1)), code);
    ASSERT_EQ(f32_to_bf16(std::bit_cast<float>(middle + 1)), code + 1);
  }
}

// Worked examples of the specification (section 10.1).
TEST(DType, the_specifications_examples_hold) {
  struct Example {
    float v, rounded;
  };
  constexpr Example kE4M3[] = {{0.3f, 0.3125f}, {1.0625f, 1.0f},        {1.1875f, 1.25f},   {17, 16},       {19, 20},
                               {460, 448},      {0.001f, 0.001953125f}, {0.0009765625f, 0}, {-3.3f, -3.25f}};
  for (const Example& e : kE4M3) EXPECT_EQ(e4m3_to_f32(f32_to_e4m3(e.v)), e.rounded) << e.v;
  constexpr Example kE2M1[] = {{0.25f, 0}, {0.26f, 0.5f}, {0.75f, 1}, {1.25f, 1}, {1.75f, 2},
                               {2.5f, 2},  {3.5f, 4},     {5, 4},     {5.01f, 6}, {-2.5f, -2}};
  for (const Example& e : kE2M1) EXPECT_EQ(e2m1_to_f32(f32_to_e2m1(e.v)), e.rounded) << e.v;
}

TEST(DType, activation_blocks_follow_the_specifications_examples) {
  struct Example {
    std::array<float, 4> in;
    int exponent;
    std::array<float, 4> out;
  };
  constexpr Example kFp8[] = {{{0.1f, -0.5f, 3, 0.007f}, -7, {0.1015625f, -0.5f, 3, 0.0068359375f}},
                              {{448, 1, 0, 0}, 0, {448, 1, 0, 0}},
                              {{0, 0, 0, 0}, -22, {0, 0, 0, 0}}};
  for (const Example& e : kFp8) {
    EXPECT_EQ(e4m3_scale_exponent(e.in.data(), 4), e.exponent);
    std::array<float, 4> x = e.in;
    fake_quantize_e4m3(x.data(), 4, 4);
    EXPECT_EQ(x, e.out);
  }
  constexpr Example kFp4[] = {{{0.1f, -0.5f, 3, 0.007f}, -1, {0, -0.5f, 3, 0}},
                              {{6, 1.3f, 0, 0}, 0, {6, 1.5f, 0, 0}},
                              {{6.1f, 1.3f, 0, 0}, 1, {6, 1, 0, 0}}};
  for (const Example& e : kFp4) {
    EXPECT_EQ(e2m1_scale_exponent(e.in.data(), 4), e.exponent);
    std::array<float, 4> x = e.in;
    fake_quantize_e2m1(x.data(), 4, 4);
    EXPECT_EQ(x, e.out);
  }
}

TEST(DType, quantising_twice_changes_nothing) {
  std::vector<float> x(256);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = std::sin(static_cast<float>(i)) * std::ldexp(1.0f, static_cast<int>(i % 40) - 20);
  for (const auto quantize : {fake_quantize_e4m3, fake_quantize_e2m1}) {
    std::vector<float> once = x;
    quantize(once.data(), 256, 64);
    std::vector<float> twice = once;
    quantize(twice.data(), 256, 64);
    EXPECT_EQ(once, twice);
  }
}

TEST(DType, tiny_and_huge_blocks_stay_finite) {
  for (const float v : {1e-45f, 1e-38f, 6e-38f, 1e38f, 2e38f}) {
    std::array<float, 2> x = {v, -v};
    fake_quantize_e4m3(x.data(), 2, 2);
    EXPECT_TRUE(std::isfinite(x[0]) && std::isfinite(x[1])) << v;
    x = {v, -v};
    fake_quantize_e2m1(x.data(), 2, 2);
    EXPECT_TRUE(std::isfinite(x[0]) && std::isfinite(x[1])) << v;
  }
}

TEST(DType, names_and_sizes_are_those_of_safetensors) {
  EXPECT_EQ(dtype_name(DType::kF8E4M3), "F8_E4M3");
  EXPECT_EQ(parse_dtype("BF16"), DType::kBF16);
  EXPECT_EQ(parse_dtype("F4"), DType::kF4E2M1);
  EXPECT_FALSE(parse_dtype("bf16").has_value());
  EXPECT_FALSE(parse_dtype("").has_value());
  for (int i = 0; i <= static_cast<int>(DType::kI16); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(parse_dtype(dtype_name(dtype)), dtype);
    EXPECT_GT(dtype_bits(dtype), 0);
  }
  EXPECT_EQ(dtype_bits(DType::kF4E2M1), 4);
}

}  // namespace
}  // namespace hadal
