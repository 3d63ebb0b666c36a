// linear: goldens, every version against the reference, and the equalities of the contract.

#include "ops/linear/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/blocks/block_codec.h"
#include "ops/linear/int8_rows.h"
#include "ops/linear/linear_kernels.h"
#include "testing/compare.h"
#include "testing/golden.h"
#include "testing/weights.h"

namespace hadal::ops {
namespace {

using test::StoredMatrix;

std::vector<float> random_floats(std::mt19937& random, int64_t n) {
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = normal(random);
  return x;
}

// y of one linear with its packing, by the versions of `level`.
std::vector<float> apply(CpuLevel level, int n_threads, const Weight& w, const std::vector<float>& x, int64_t T,
                         int64_t groups, ActivationRounding rounding) {
  CpuDevice cpu({.n_threads = n_threads, .level = level});
  const RowFormat format = row_format(rounding);
  std::vector<std::byte> packed(static_cast<size_t>(packed_rows_bytes(T, groups, w.cols, format)) + 64);
  const PackedRows rows{.format = format, .T = T, .groups = groups, .K = w.cols, .data = packed.data()};
  pack_rows(cpu, {.x = x.data(), .x_stride = groups * w.cols, .rounding = rounding, .out = rows});
  std::vector<float> y(static_cast<size_t>(T * w.rows), NAN);
  linear(cpu, {.x = rows, .w = w, .y = y.data(), .y_stride = w.rows});
  return y;
}

std::vector<CpuLevel> fast_levels() {
  std::vector<CpuLevel> levels;
  for (const CpuLevel level : {CpuLevel::kAvx2, CpuLevel::kAvx512}) {
    if (level <= detected_cpu_level()) levels.push_back(level);
  }
  return levels;
}

// 8-bit activations are for FP4 in one order, for block types in the other.
bool is_meant_for(ActivationRounding rounding, DType dtype) {
  if (rounding == ActivationRounding::kInt8Lanes) return is_block_type(dtype);
  return rounding != ActivationRounding::kInt8 || dtype == DType::kF4E2M1;
}

struct Case {
  DType dtype;
  int64_t rows, cols, groups, T;
};

// Odd sizes of the small fixtures, partial scale blocks, sizes around the tiles, and V4-Flash's own.
const Case kCases[] = {{DType::kF32, 24, 256, 1, 3},
                       {DType::kBF16, 64, 160, 2, 5},
                       {DType::kBF16, 7, 32, 1, 1},
                       {DType::kF16, 33, 96, 1, 4},
                       {DType::kF8E4M3, 200, 130, 1, 7},
                       {DType::kF8E4M3, 256, 128, 1, 13},
                       {DType::kF8E4M3, 128, 384, 2, 2},
                       {DType::kF4E2M1, 65, 96, 1, 6},
                       {DType::kF4E2M1, 128, 64, 1, 1},
                       {DType::kF4E2M1, 16, 4096, 1, 9},
                       {DType::kF8E4M3, 512, 4096, 1, 1},
                       {DType::kBF16, 256, 4096, 1, 12},
                       {DType::kF8E4M3, 1024, 4096, 8, 2},
                       // Blocks of 32 that end inside a step of 256, whole steps, groups; and V4-Flash's widths.
                       {DType::kQ8_0, 33, 96, 1, 5},
                       {DType::kQ8_0, 64, 544, 2, 3},
                       {DType::kQ4_0, 65, 288, 1, 6},
                       {DType::kMXFP4, 48, 160, 1, 4},
                       {DType::kMXFP4, 16, 2048, 1, 9},
                       {DType::kQ2K, 35, 512, 1, 7},
                       {DType::kQ3K, 32, 768, 2, 2},
                       {DType::kQ4K, 66, 1024, 1, 13},
                       {DType::kQ5K, 31, 256, 1, 1},
                       {DType::kQ6K, 40, 512, 1, 6},
                       {DType::kIQ4XS, 37, 512, 1, 3},
                       {DType::kIQ2XXS, 36, 512, 1, 5},
                       {DType::kQ4K, 128, 4096, 1, 6},
                       {DType::kIQ2XXS, 64, 4096, 1, 1},
                       {DType::kQ8_0, 256, 4096, 1, 2}};

TEST(Linear, every_version_agrees_with_the_reference_for_every_stored_type) {
  std::mt19937 random(7);
  for (const Case& c : kCases) {
    const StoredMatrix stored = StoredMatrix::random(random, c.dtype, c.rows, c.cols);
    const std::vector<float> x = random_floats(random, c.T * c.groups * c.cols);
    for (const ActivationRounding rounding :
         {ActivationRounding::kNone, ActivationRounding::kBf16, ActivationRounding::kE4m3, ActivationRounding::kInt8,
          ActivationRounding::kInt8Lanes}) {
      if (!is_meant_for(rounding, c.dtype)) continue;
      const std::vector<float> want = apply(CpuLevel::kPortable, 2, stored.weight, x, c.T, c.groups, rounding);
      for (const CpuLevel level : fast_levels()) {
        const std::vector<float> got = apply(level, 2, stored.weight, x, c.T, c.groups, rounding);
        // K products of size up to about 4 summed in float in 16 chains: K / 16 roundings of 2^-24 each, with room.
        EXPECT_TRUE(test::within(got, want, {.rtol = 1e-5, .atol = 3e-5 * std::sqrt(static_cast<double>(c.cols))}))
            << dtype_name(c.dtype) << " " << c.rows << "x" << c.cols << " T " << c.T << " " << cpu_level_name(level);
      }
    }
  }
}

TEST(Linear, a_token_gives_the_same_bits_alone_and_among_others) {
  std::mt19937 random(8);
  for (const Case& c : kCases) {
    const int64_t T = 15;
    const StoredMatrix stored = StoredMatrix::random(random, c.dtype, c.rows, c.cols);
    const int64_t width = c.groups * c.cols;
    const std::vector<float> x = random_floats(random, T * width);
    for (const ActivationRounding rounding : {ActivationRounding::kNone, ActivationRounding::kBf16,
                                              ActivationRounding::kInt8, ActivationRounding::kInt8Lanes}) {
      if (!is_meant_for(rounding, c.dtype)) continue;
      for (const CpuLevel level : fast_levels()) {
        const std::vector<float> all = apply(level, 1, stored.weight, x, T, c.groups, rounding);
        for (int64_t t = 0; t < T; ++t) {
          const std::vector<float> one(x.begin() + t * width, x.begin() + (t + 1) * width);
          const std::vector<float> alone = apply(level, 1, stored.weight, one, 1, c.groups, rounding);
          const std::vector<float> among(all.begin() + t * c.rows, all.begin() + (t + 1) * c.rows);
          ASSERT_TRUE(test::same_bits(alone, among))
              << dtype_name(c.dtype) << " token " << t << " " << cpu_level_name(level);
        }
      }
    }
  }
}

TEST(Linear, one_thread_and_three_give_the_same_bits) {
  std::mt19937 random(9);
  for (const Case& c : kCases) {
    const StoredMatrix stored = StoredMatrix::random(random, c.dtype, c.rows, c.cols);
    const std::vector<float> x = random_floats(random, c.T * c.groups * c.cols);
    for (const CpuLevel level : fast_levels()) {
      EXPECT_TRUE(test::same_bits(apply(level, 1, stored.weight, x, c.T, c.groups, ActivationRounding::kBf16),
                                  apply(level, 3, stored.weight, x, c.T, c.groups, ActivationRounding::kBf16)))
          << dtype_name(c.dtype);
    }
  }
}

TEST(Linear, every_code_of_fp8_and_fp4_is_read_exactly) {
  // One row holds all codes; unit vectors pick them out one by one.
  for (const CpuLevel level : fast_levels()) {
    for (const DType dtype : {DType::kF8E4M3, DType::kF4E2M1}) {
      const int64_t cols = dtype == DType::kF8E4M3 ? 256 : 64;
      for (const uint8_t scale : {uint8_t{1}, uint8_t{2}, uint8_t{100}, uint8_t{127}, uint8_t{140}, uint8_t{230}}) {
        const StoredMatrix stored = StoredMatrix::all_codes(dtype, cols, scale);
        std::vector<float> x(static_cast<size_t>(cols * cols), 0.0f);
        for (int64_t k = 0; k < cols; ++k) x[static_cast<size_t>(k * cols + k)] = 1.0f;
        // Scales this small leave the range in which the BF16 unit keeps subnormal numbers; floats are exact.
        const bool is_tiny = scale < 16;
        std::vector<ActivationRounding> roundings = {is_tiny ? ActivationRounding::kNone : ActivationRounding::kBf16};
        if (dtype == DType::kF4E2M1 && !is_tiny) roundings.push_back(ActivationRounding::kInt8);
        for (const ActivationRounding rounding : roundings) {
          const std::vector<float> y = apply(level, 1, stored.weight, x, cols, 1, rounding);
          for (int64_t k = 0; k < cols; ++k) {
            const float want = weight_at(stored.weight, 0, k);
            if (std::isnan(want) || (is_tiny && std::abs(want) < 0x1p-126f)) continue;
            ASSERT_EQ(y[static_cast<size_t>(k)], want) << dtype_name(dtype) << " code " << k << " scale " << int{scale};
          }
        }
      }
    }
  }
}

TEST(Linear, goldens_of_quantised_linears_hold) {
  const test::GoldenFile golden("layers/formats.safetensors");
  const std::span<const float> x = golden.f32("linear_fp8.x");
  const std::vector<float> input(x.begin(), x.end());
  struct Golden {
    std::string name;
    DType dtype;
  };
  for (const Golden& g : {Golden{"linear_fp8", DType::kF8E4M3}, Golden{"linear_fp4", DType::kF4E2M1}}) {
    const bool is_fp4 = g.dtype == DType::kF4E2M1;
    const Weight w{.dtype = g.dtype,
                   .rows = golden.shape(g.name + ".q")[0],
                   .cols = 256,
                   .data = reinterpret_cast<const std::byte*>(golden.u8(g.name + ".q").data()),
                   .scale_dtype = DType::kF8E8M0,
                   .scale = reinterpret_cast<const std::byte*>(golden.u8(g.name + ".scale").data()),
                   .scale_rows = is_fp4 ? 1 : 128,
                   .scale_cols = is_fp4 ? 32 : 128};
    for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
      // 5e-6 is how well the sources of the goldens agree; the outputs are of size 1 to 30.
      EXPECT_TRUE(test::within(apply(level, 1, w, input, 8, 1, ActivationRounding::kNone),
                               golden.f32(g.name + ".out_plain"), {.rtol = 5e-6, .atol = 5e-6}));
      EXPECT_TRUE(test::within(apply(level, 1, w, input, 8, 1, ActivationRounding::kE4m3),
                               golden.f32(g.name + ".out_act_quant"), {.rtol = 5e-6, .atol = 5e-6}));
    }
  }
}

TEST(Linear, activations_in_blocks_of_32_are_rounded_as_the_goldens_say) {
  const test::GoldenFile golden("layers/formats.safetensors");
  const std::span<const float> in = golden.f32("act_fp8.in");
  for (const Version<PackRows>& version : pack_rows_versions()) {
    if (version.level > detected_cpu_level()) continue;
    CpuDevice cpu({.n_threads = 1, .level = version.level});
    std::vector<float> out(in.size());
    const PackedRows rows{
        .format = RowFormat::kF32, .T = 12, .groups = 1, .K = 256, .data = reinterpret_cast<std::byte*>(out.data())};
    version.run(cpu, {.x = in.data(), .x_stride = 256, .rounding = ActivationRounding::kE4m3By32, .out = rows});
    EXPECT_TRUE(test::same_bits(out, golden.f32("act_fp8.pow2.b32")));
  }
}

TEST(Linear, the_grouped_output_projection_meets_its_goldens) {
  const test::GoldenFile golden("layers/group_out.safetensors");
  const int64_t groups_of[] = {2, 3, 1, 8};
  for (int i = 0; i < 4; ++i) {
    const std::string c = "c" + std::to_string(i) + ".";
    const auto matrix = [&](const std::string& name) {
      return Weight{.dtype = DType::kF32,
                    .rows = golden.shape(c + name)[0],
                    .cols = golden.shape(c + name)[1],
                    .data = reinterpret_cast<const std::byte*>(golden.f32(c + name).data())};
    };
    const int64_t T = golden.shape(c + "o")[0];
    const std::span<const float> o = golden.f32(c + "o");
    for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
      const std::vector<float> mid =
          apply(level, 2, matrix("wo_a"), {o.begin(), o.end()}, T, groups_of[i], ActivationRounding::kNone);
      EXPECT_TRUE(test::within(mid, golden.f32(c + "mid"), {.rtol = 5e-6, .atol = 5e-6})) << c;
      EXPECT_TRUE(test::within(apply(level, 2, matrix("wo_b"), mid, T, 1, ActivationRounding::kNone),
                               golden.f32(c + "out"), {.rtol = 5e-6, .atol = 5e-6}))
          << c;
    }
  }
}

TEST(Linear, fp4_with_8_bit_activations_is_the_same_on_avx2_and_avx512) {
  if (detected_cpu_level() < CpuLevel::kAvx512) GTEST_SKIP() << "this machine has no AVX-512";
  std::mt19937 random(11);
  for (const auto& [rows, cols, T] : {std::tuple{65, 96, 6}, {128, 64, 1}, {16, 4096, 9}, {33, 2048, 4}, {9, 176, 3}}) {
    const StoredMatrix stored = StoredMatrix::random(random, DType::kF4E2M1, rows, cols);
    const std::vector<float> x = random_floats(random, T * cols);
    EXPECT_TRUE(test::same_bits(apply(CpuLevel::kAvx2, 1, stored.weight, x, T, 1, ActivationRounding::kInt8),
                                apply(CpuLevel::kAvx512, 1, stored.weight, x, T, 1, ActivationRounding::kInt8)))
        << rows << "x" << cols;
  }
}

// The weights (1, 0, 0, ...) in FP8 under one scale.
StoredMatrix first_unit_row(int64_t cols, uint8_t scale) {
  StoredMatrix m = StoredMatrix::all_codes(DType::kF8E4M3, cols, scale);
  std::fill(m.data.begin(), m.data.end(), std::byte{0});
  for (int64_t r = 0; r < m.weight.rows; ++r) m.data[static_cast<size_t>(r * cols)] = std::byte{f32_to_e4m3(1.0f)};
  return m;
}

TEST(Linear, a_scale_of_fp8_multiplies_every_activation_whatever_its_neighbours_are) {
  // Scales are added to exponents unless a neighbour would leave the numbers that have one: 2^-130 does.
  const int64_t cols = 128;
  for (const CpuLevel level : fast_levels()) {
    for (const uint8_t scale : {uint8_t{1}, uint8_t{64}, uint8_t{127}, uint8_t{130}, uint8_t{190}, uint8_t{254}}) {
      const StoredMatrix stored = first_unit_row(cols, scale);
      for (const float v : {1.0f, -1.5f, 0x1p-126f, 0x1p-70f, -0x1p60f, 0x1.FEp127f}) {
        for (const int64_t T : {1, 13}) {
          std::vector<float> x(static_cast<size_t>(T * cols));
          for (int64_t t = 0; t < T; ++t) x[static_cast<size_t>(t * cols)] = v;
          const std::vector<float> plain = apply(level, 1, stored.weight, x, T, 1, ActivationRounding::kBf16);
          for (int64_t t = 0; t < T; ++t) x[static_cast<size_t>(t * cols + 1)] = 0x1p-130f;
          EXPECT_TRUE(test::same_bits(apply(level, 1, stored.weight, x, T, 1, ActivationRounding::kBf16), plain))
              << cpu_level_name(level) << " scale " << int{scale} << " times " << v;
          const float product = v * e8m0_to_f32(scale);
          if (std::isnormal(product)) {
            EXPECT_EQ(plain.back(), product);
          }
        }
      }
    }
  }
}

TEST(Linear, the_outermost_scales_of_fp4_are_taken_with_8_bit_activations) {
  // 0 and 255 are no exponent field of a number: the one counts as zero, the other is NaN. 1, 60, 200 and 250 are, and
  // too far from 127 to be added to another exponent.
  const int64_t cols = 256;
  for (const CpuLevel level : fast_levels()) {
    for (const int64_t T : {1, 3}) {
      for (const uint8_t scale : {uint8_t{1}, uint8_t{60}, uint8_t{200}, uint8_t{250}}) {
        const StoredMatrix stored = StoredMatrix::all_codes(DType::kF4E2M1, cols, scale);
        std::vector<float> x(static_cast<size_t>(T * cols));
        for (int64_t k = 0; k < T * cols; ++k) {
          // Of one sign, so that nothing cancels.
          const float sign = std::signbit(weight_at(stored.weight, 0, k % cols)) ? -1.0f : 1.0f;
          x[static_cast<size_t>(k)] = sign * static_cast<float>(k % 7) * (scale < 127 ? 0x1p60f : 0x1p-60f);
        }
        const std::vector<float> want =
            apply(CpuLevel::kPortable, 1, stored.weight, x, T, 1, ActivationRounding::kInt8);
        EXPECT_TRUE(test::within(apply(level, 1, stored.weight, x, T, 1, ActivationRounding::kInt8), want,
                                 {.rtol = 1e-6, .atol = 0}));
      }
      const StoredMatrix zero = StoredMatrix::all_codes(DType::kF4E2M1, cols, 0);
      const std::vector<float> large(static_cast<size_t>(T * cols), 0x1p100f);
      for (const float y : apply(level, 1, zero.weight, large, T, 1, ActivationRounding::kInt8)) EXPECT_EQ(y, 0.0f);
      const StoredMatrix nan = StoredMatrix::all_codes(DType::kF4E2M1, cols, 255);
      for (const float y : apply(level, 1, nan.weight, std::vector<float>(static_cast<size_t>(T * cols), 1.0f), T, 1,
                                 ActivationRounding::kInt8))
        EXPECT_TRUE(std::isnan(y));
    }
  }
}

TEST(Linear, block_types_with_8_bit_activations_are_the_same_on_avx2_and_avx512_and_with_any_threads) {
  std::mt19937 random(14);
  for (const Case& c : kCases) {
    if (!is_block_type(c.dtype)) continue;
    const StoredMatrix stored = StoredMatrix::random(random, c.dtype, c.rows, c.cols);
    const std::vector<float> x = random_floats(random, c.T * c.groups * c.cols);
    std::vector<float> first;
    for (const CpuLevel level : fast_levels()) {
      for (const int n_threads : {1, 3}) {
        std::vector<float> y = apply(level, n_threads, stored.weight, x, c.T, c.groups, ActivationRounding::kInt8Lanes);
        if (first.empty()) first = y;
        EXPECT_TRUE(test::same_bits(y, first)) << dtype_name(c.dtype) << " " << cpu_level_name(level);
      }
    }
  }
}

// Random bytes are blocks, too: every code, and scales of any size. 8-bit products must not overflow.
TEST(Linear, blocks_of_random_bytes_are_read_as_the_reference_reads_them) {
  std::mt19937 random(15);
  for (const Case& c : kCases) {
    if (!is_block_type(c.dtype)) continue;
    StoredMatrix stored = StoredMatrix::random(random, c.dtype, c.rows, c.cols);
    for (std::byte& byte : stored.data) byte = static_cast<std::byte>(random());
    const std::vector<float> x = random_floats(random, c.T * c.groups * c.cols);
    const std::vector<float> want =
        apply(CpuLevel::kPortable, 1, stored.weight, x, c.T, c.groups, ActivationRounding::kInt8Lanes);
    for (const CpuLevel level : fast_levels()) {
      const std::vector<float> got = apply(level, 1, stored.weight, x, c.T, c.groups, ActivationRounding::kInt8Lanes);
      for (int64_t n = 0; n < c.rows; ++n) {
        std::vector<float> row(static_cast<size_t>(c.cols));
        decode_values(c.dtype, stored.weight.data + n * stored.weight.row_bytes(), c.cols, row.data());
        double size = 0;  // of the products: what the rounding of sums is relative to
        for (const float v : row) size += std::abs(static_cast<double>(v)) * 3;
        for (int64_t t = 0; t < c.T; ++t) {
          const auto i = static_cast<size_t>(t * c.rows + n);
          if (!std::isfinite(size) || size > 1e30) continue;
          ASSERT_NEAR(got[i], want[i], 1e-5 * size) << dtype_name(c.dtype) << " row " << n << " token " << t;
        }
      }
    }
  }
}

TEST(PackRows, lanes_are_within_half_a_step_and_keep_integers) {
  std::mt19937 random(16);
  for (const int64_t n : {256, 96, 1}) {
    std::vector<float> x = random_floats(random, n);
    for (int64_t i = 0; i < n; ++i) x[static_cast<size_t>(i)] *= std::exp2(static_cast<float>(i / 32 * 5));
    Int8Lanes lanes;
    pack_int8_lanes(x.data(), n, lanes);
    for (int64_t i = 0; i < n; ++i) {
      const float step = lanes.scale[lane_of(i / 16)];
      EXPECT_LE(std::abs(int8_lane_value(lanes, i) - x[static_cast<size_t>(i)]), step * 0.50002f);
    }
    for (int64_t i = n; i < kLaneStep; ++i) EXPECT_EQ(int8_lane_value(lanes, i), 0.0f);
  }
  const float integers[] = {127, -127, 1, 0, -3, 64};
  Int8Lanes lanes;
  pack_int8_lanes(integers, 6, lanes);
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(int8_lane_value(lanes, i), integers[i]);
}

TEST(PackRows, eight_bit_activations_are_within_half_a_step_and_keep_integers) {
  std::mt19937 random(12);
  for (const int64_t n : {128, 96, 1}) {
    std::vector<float> x = random_floats(random, n);
    for (int64_t i = 0; i < n; ++i) x[static_cast<size_t>(i)] *= std::exp2(static_cast<float>(i / 32 * 9));
    Int8Block block;
    pack_int8_block(x.data(), n, block);
    for (int64_t i = 0; i < n; ++i) {
      const float step = 2 * block.scale[i / 8];
      // Half a step, and the rounding of the quotient.
      EXPECT_LE(std::abs(int8_value(block, i) - x[static_cast<size_t>(i)]), step * 0.50002f);
    }
    for (int64_t i = n; i < kInt8Block; ++i) EXPECT_EQ(int8_value(block, i), 0.0f);
  }
  // The largest magnitude is 127 steps, so integers up to it stay as they are.
  const float integers[] = {127, -127, 1, 0, -3, 64};
  Int8Block block;
  pack_int8_block(integers, 6, block);
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(int8_value(block, i), integers[i]);
  const float none[] = {1, NAN};
  pack_int8_block(none, 2, block);
  EXPECT_TRUE(std::isnan(int8_value(block, 0)));
}

TEST(Linear, a_token_without_numbers_is_none_with_8_bit_activations_too) {
  std::mt19937 random(13);
  const StoredMatrix stored = StoredMatrix::random(random, DType::kF4E2M1, 8, 256);
  std::vector<float> x = random_floats(random, 5 * 256);
  x[3 * 256 + 40] = INFINITY;
  for (const CpuLevel level : fast_levels()) {
    const std::vector<float> y = apply(level, 1, stored.weight, x, 5, 1, ActivationRounding::kInt8);
    for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 8 == 3) << i;
  }
}

TEST(PackRows, every_version_rounds_to_the_same_bits) {
  std::mt19937 random(10);
  std::vector<float> x = random_floats(random, 5 * 130);
  x[3] = NAN;
  x[4] = INFINITY;
  x[5] = -0.0f;
  x[6] = 0x1p-130f;
  x[7] = 1.00390625f;  // half way between two BF16 numbers
  for (const ActivationRounding rounding :
       {ActivationRounding::kNone, ActivationRounding::kBf16, ActivationRounding::kE4m3, ActivationRounding::kInt8,
        ActivationRounding::kInt8Lanes}) {
    const RowFormat format = row_format(rounding);
    std::vector<std::vector<std::byte>> results;
    for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
      CpuDevice cpu({.n_threads = 1, .level = level});
      std::vector<std::byte> packed(static_cast<size_t>(packed_rows_bytes(5, 1, 130, format)));
      pack_rows(cpu, {.x = x.data(),
                      .x_stride = 130,
                      .rounding = rounding,
                      .out = {.format = format, .T = 5, .groups = 1, .K = 130, .data = packed.data()}});
      results.push_back(std::move(packed));
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
  }
}

}  // namespace
}  // namespace hadal::ops
