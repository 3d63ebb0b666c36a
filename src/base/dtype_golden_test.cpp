// base/dtype.h against the op-level goldens, bit for bit.
#include <gtest/gtest.h>

#include <vector>

#include "base/dtype.h"
#include "testing/compare.h"
#include "testing/golden.h"

namespace hadal {
namespace {

class NumberFormats : public ::testing::Test {
 protected:
  std::span<const float> floats(std::string_view name) const { return golden_.f32(name); }
  std::span<const uint8_t> codes(std::string_view name) const { return golden_.u8(name); }

  // W[i, j] = code[i, j] * scale of its tile.
  template <class Code, class Scale>
  static std::vector<float> dequantised(int64_t rows, int64_t cols, int64_t tile_rows, int64_t tile_cols, Code code,
                                        Scale scale) {
    const int64_t stride = (cols + tile_cols - 1) / tile_cols;
    std::vector<float> out;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        out.push_back(code(i, j) * scale(static_cast<size_t>(i / tile_rows * stride + j / tile_cols)));
      }
    }
    return out;
  }

  test::GoldenFile golden_{"layers/formats.safetensors"};
};

TEST_F(NumberFormats, all_codes_have_the_goldens_values) {
  std::vector<float> e4m3, e2m1, e8m0;
  for (const uint8_t code : codes("e4m3.codes")) e4m3.push_back(e4m3_to_f32(code));
  for (int code = 0; code < 16; ++code) e2m1.push_back(e2m1_to_f32(static_cast<uint8_t>(code)));
  for (int code = 0; code < 256; ++code) e8m0.push_back(e8m0_to_f32(static_cast<uint8_t>(code)));
  // NaN has many codes: its pattern is compared, not its bits.
  EXPECT_TRUE(test::within_ulp(e4m3, floats("e4m3.values"), 0));
  EXPECT_TRUE(test::within_ulp(e2m1, floats("e2m1.values"), 0));
  EXPECT_TRUE(test::within_ulp(e8m0, floats("e8m0.values"), 0));
}

TEST_F(NumberFormats, the_encoders_give_the_goldens_codes) {
  const std::span<const float> e4m3 = floats("e4m3.in"), e2m1 = floats("e2m1.in"), bf16 = floats("bf16.in");
  const std::span<const uint8_t> e4m3_codes = codes("e4m3.encoded"), e2m1_codes = codes("e2m1.encoded");
  const std::span<const uint16_t> bf16_codes = golden_.bf16("bf16.encoded");
  for (size_t i = 0; i < e4m3.size(); ++i) EXPECT_EQ(f32_to_e4m3(e4m3[i]), e4m3_codes[i]) << e4m3[i];
  for (size_t i = 0; i < e2m1.size(); ++i) EXPECT_EQ(f32_to_e2m1(e2m1[i]), e2m1_codes[i]) << e2m1[i];
  for (size_t i = 0; i < bf16.size(); ++i) EXPECT_EQ(f32_to_bf16(bf16[i]), bf16_codes[i]) << bf16[i];
}

TEST_F(NumberFormats, powers_of_two_are_rounded_up_as_in_the_golden) {
  const std::span<const float> in = floats("pow2ceil.in"), want = floats("pow2ceil.out");
  for (size_t i = 0; i < in.size(); ++i) EXPECT_EQ(exp2i(ceil_log2(in[i])), want[i]) << in[i];
}

TEST_F(NumberFormats, the_activation_quantisers_give_the_goldens_numbers) {
  struct Case {
    void (*quantize)(float*, int, int);
    const char* golden;
    int block;
  };
  constexpr Case kCases[] = {{fake_quantize_e4m3, "act_fp8.pow2.b32", 32},
                             {fake_quantize_e4m3, "act_fp8.pow2.b64", 64},
                             {fake_quantize_e4m3, "act_fp8.pow2.b128", 128},
                             {fake_quantize_e4m3_float_scale, "act_fp8.f32scale.b64", 64},
                             {fake_quantize_e4m3_float_scale, "act_fp8.f32scale.b128", 128},
                             {fake_quantize_e2m1, "act_fp4.pow2.b32", 32}};
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.golden);
    const std::span<const float> in = floats("act_fp8.in");
    std::vector<float> x(in.begin(), in.end());
    for (size_t row = 0; row < x.size(); row += 256) c.quantize(x.data() + row, 256, c.block);
    EXPECT_TRUE(test::same_bits(x, floats(c.golden)));
  }
}

TEST_F(NumberFormats, block_scaled_fp8_dequantises_to_the_golden) {
  const std::span<const uint8_t> q = codes("fp8block.b.q"), scale = codes("fp8block.b.scale");
  const std::span<const float> scale_f32 = floats("fp8block.b.scale_inv_f32");
  const auto code = [&](int64_t i, int64_t j) { return e4m3_to_f32(q[static_cast<size_t>(i * 130 + j)]); };
  const auto e8m0 = [&](size_t s) { return e8m0_to_f32(scale[s]); };
  const auto f32 = [&](size_t s) { return scale_f32[s]; };
  EXPECT_TRUE(test::same_bits(dequantised(200, 130, 128, 128, code, e8m0), floats("fp8block.b.out")));
  EXPECT_TRUE(test::same_bits(dequantised(200, 130, 128, 128, code, f32), floats("fp8block.b.out_f32")));
}

TEST_F(NumberFormats, fp8_in_tiles_of_32_dequantises_to_the_golden) {
  const std::span<const uint8_t> q = codes("fp8block32.q"), scale = codes("fp8block32.scale");
  const auto code = [&](int64_t i, int64_t j) { return e4m3_to_f32(q[static_cast<size_t>(i * 100 + j)]); };
  const auto e8m0 = [&](size_t s) { return e8m0_to_f32(scale[s]); };
  EXPECT_TRUE(test::same_bits(dequantised(70, 100, 32, 32, code, e8m0), floats("fp8block32.out")));
}

TEST_F(NumberFormats, packed_fp4_dequantises_to_the_golden) {
  const std::span<const uint8_t> q = codes("fp4.q"), scale = codes("fp4.scale");
  const auto code = [&](int64_t i, int64_t j) {
    const uint8_t byte = q[static_cast<size_t>(i * 64 + j / 2)];
    return e2m1_to_f32(j % 2 == 0 ? byte & 0xF : byte >> 4);
  };
  const auto e8m0 = [&](size_t s) { return e8m0_to_f32(scale[s]); };
  EXPECT_TRUE(test::same_bits(dequantised(24, 128, 1, 32, code, e8m0), floats("fp4.out")));
}

}  // namespace
}  // namespace hadal
