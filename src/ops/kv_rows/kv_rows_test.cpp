// The published roundings and stored forms: references against golden vectors, every version against the references.
#include "ops/kv_rows/kv_rows.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "base/dtype.h"
#include "testing/compare.h"
#include "testing/golden.h"

namespace hadal::ops {
namespace {

using test::GoldenFile;
using test::same_bits;
using test::within;

std::vector<CpuLevel> supported_levels() {
  std::vector<CpuLevel> levels;
  for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
    if (level <= detected_cpu_level()) levels.push_back(level);
  }
  return levels;
}

std::string label(CpuLevel level) {
  return std::string(cpu_level_name(level));
}

// One NaN for all, so that the rest can be compared bit for bit.
void unify_nans(std::vector<float>& x) {
  for (float& v : x) v = std::isnan(v) ? std::numeric_limits<float>::quiet_NaN() : v;
}

// Rows through bytes and back, with the coders of one level.
std::vector<float> through_bytes(KvFormat format, std::span<const float> x, int64_t D, int64_t rope_dim,
                                 CpuLevel level) {
  std::vector<std::byte> row(static_cast<size_t>(kv_row_bytes(format, D, rope_dim)));
  std::vector<float> y(x.size());
  for (size_t begin = 0; begin < x.size(); begin += static_cast<size_t>(D)) {
    encode_row_for(level)(format, x.data() + begin, D, rope_dim, row.data());
    decode_row_for(level)(format, row.data(), D, rope_dim, y.data() + begin);
  }
  return y;
}

std::vector<float> rounded(CpuLevel level, KvRounding rounding, std::span<const float> x, int64_t D, int64_t rope_dim) {
  std::vector<float> y(x.begin(), x.end());
  CpuDevice cpu({.n_threads = 2, .level = level});
  round_rows(cpu, {.x = y.data(),
                   .T = static_cast<int64_t>(x.size()) / D,
                   .D = D,
                   .x_stride = D,
                   .rope_dim = rope_dim,
                   .rounding = rounding});
  return y;
}

// Values over many magnitudes, with zeros of both signs, ties of the small formats and subnormals.
std::vector<float> random_row(std::mt19937& random, int64_t D) {
  std::normal_distribution<float> normal;
  const float magnitude = std::exp2(std::uniform_real_distribution<float>(-40.0f, 40.0f)(random));
  std::vector<float> x(static_cast<size_t>(D));
  for (float& v : x) {
    switch (random() % 16) {
      case 0:
        v = random() % 2 == 0 ? 0.0f : -0.0f;
        break;
      case 1:
        v = std::ldexp(static_cast<float>(static_cast<int>(random() % 129) - 64), static_cast<int>(random() % 24) - 14);
        break;
      case 2:
        v = std::ldexp(normal(random), -140);
        break;
      case 3:
        v = normal(random);
        break;
      default:
        v = magnitude * normal(random);
    }
  }
  return x;
}

TEST(KvRows, hadamard_agrees_with_the_goldens) {
  const GoldenFile golden("layers/formats.safetensors");
  for (const CpuLevel level : supported_levels()) {
    for (const int64_t D : {32, 64, 128, 512}) {
      const auto in = golden.f32("hadamard.in" + std::to_string(D));
      // log2(D) roundings of values of size 1 to 20, against float64.
      EXPECT_TRUE(within(rounded(level, KvRounding::kHadamard, in, D, 0),
                         golden.f32("hadamard.out" + std::to_string(D)), {.rtol = 1e-6, .atol = 1e-6}))
          << label(level);
    }
  }
}

TEST(KvRows, blocks_of_64_are_rounded_and_stored_as_the_goldens_say) {
  const GoldenFile golden("layers/formats.safetensors");
  const auto in = golden.f32("act_fp8.in");
  const auto want = golden.f32("act_fp8.pow2.b64");
  for (const CpuLevel level : supported_levels()) {
    EXPECT_TRUE(same_bits(rounded(level, KvRounding::kE4m3, in, 256, 0), want)) << label(level);
    EXPECT_TRUE(same_bits(through_bytes(KvFormat::kFp8, in, 256, 0, level), want)) << label(level);
  }
}

TEST(KvRows, blocks_of_32_are_stored_as_the_goldens_say) {
  const GoldenFile golden("layers/formats.safetensors");
  const auto in = golden.f32("act_fp8.in");
  const auto want = golden.f32("act_fp4.pow2.b32");
  for (const CpuLevel level : supported_levels()) {
    EXPECT_TRUE(same_bits(through_bytes(KvFormat::kFp4, in, 256, 0, level), want)) << label(level);
  }
}

TEST(KvRows, index_queries_and_keys_are_rounded_as_the_goldens_say) {
  const GoldenFile golden("layers/indexer.safetensors");
  for (const std::string tensor : {"c0.q", "c0.k", "c1.q", "c1.k", "c2.q", "c2.k", "c3.q", "c3.k"}) {
    const auto in = golden.f32(tensor);
    const int64_t D = golden.shape(tensor).back();
    for (const CpuLevel level : supported_levels()) {
      const std::vector<float> transformed = rounded(level, KvRounding::kHadamard, in, D, 0);
      EXPECT_TRUE(within(transformed, golden.f32(tensor + "_hadamard"), {.rtol = 1e-6, .atol = 1e-6}))
          << tensor << " " << label(level);
      // No value of these cases lies so close to a tie that float and float64 transforms round apart.
      const auto want = golden.f32(tensor + "_fp4");
      EXPECT_TRUE(same_bits(rounded(level, KvRounding::kHadamardE2m1, in, D, 0), want))
          << tensor << " " << label(level);
      EXPECT_TRUE(same_bits(through_bytes(KvFormat::kFp4, transformed, D, 0, level), want))
          << tensor << " " << label(level);
    }
  }
}

TEST(KvRows, every_code_decodes_as_the_goldens_say) {
  const GoldenFile golden("layers/formats.safetensors");
  std::vector<std::byte> fp8(static_cast<size_t>(kv_row_bytes(KvFormat::kFp8, 256, 0)));
  for (size_t i = 0; i < 256; ++i) fp8[i] = static_cast<std::byte>(golden.u8("e4m3.codes")[i]);
  for (size_t i = 256; i < 260; ++i) fp8[i] = std::byte{127};
  std::vector<std::byte> fp4(static_cast<size_t>(kv_row_bytes(KvFormat::kFp4, 32, 0)));
  for (size_t i = 0; i < 16; ++i) fp4[i] = static_cast<std::byte>(i % 8 * 0x22 + 0x10);
  fp4[16] = std::byte{127};
  for (const CpuLevel level : supported_levels()) {
    std::vector<float> x(256);
    decode_row_for(level)(KvFormat::kFp8, fp8.data(), 256, 0, x.data());
    EXPECT_TRUE(test::within_ulp(x, golden.f32("e4m3.values"), 0)) << label(level);  // NaN of any kind
    std::vector<float> y(32);
    decode_row_for(level)(KvFormat::kFp4, fp4.data(), 32, 0, y.data());
    for (size_t i = 0; i < 32; ++i) {
      const size_t code =
          i % 2 == 0 ? std::to_integer<size_t>(fp4[i / 2]) & 0xF : std::to_integer<size_t>(fp4[i / 2]) >> 4;
      EXPECT_EQ(std::bit_cast<uint32_t>(y[i]), std::bit_cast<uint32_t>(golden.f32("e2m1.values")[code])) << i;
    }
  }
}

TEST(KvRows, entry_sizes_are_those_of_the_production_kernels) {
  EXPECT_EQ(kv_row_bytes(KvFormat::kFp8, 512, 64), 584);
  EXPECT_EQ(kv_row_bytes(KvFormat::kFp4, 128, 0), 68);
  EXPECT_EQ(kv_row_bytes(KvFormat::kFp8By128, 576, 64), 656);
  EXPECT_EQ(kv_row_bytes(KvFormat::kFp8By128, 128, 0), 132);
  EXPECT_EQ(kv_row_bytes(KvFormat::kBf16, 512, 64), 1024);
  EXPECT_EQ(kv_row_bytes(KvFormat::kF32, 512, 64), 2048);
}

// FlashMLA's record: 512 codes, four floats, 64 BF16.
TEST(KvRows, a_latent_has_the_published_byte_order) {
  std::vector<float> x(576, 0.0f);
  for (size_t b = 0; b < 4; ++b) x[128 * b] = std::ldexp(448.0f, static_cast<int>(b) - 3);
  x[1] = -28.0f;  // -224 times 2^-3
  x[512] = 1.0f;
  x[575] = -2.0f;
  for (const CpuLevel level : supported_levels()) {
    std::vector<std::byte> row(656, std::byte{0xAA});
    encode_row_for(level)(KvFormat::kFp8By128, x.data(), 576, 64, row.data());
    for (size_t b = 0; b < 4; ++b) {
      EXPECT_EQ(row[128 * b], std::byte{0x7E}) << b;  // 448
      float scale = 0;
      std::memcpy(&scale, row.data() + 512 + 4 * b, 4);
      EXPECT_EQ(scale, std::ldexp(1.0f, static_cast<int>(b) - 3)) << b;
    }
    EXPECT_EQ(row[1], std::byte{0xF6});  // -224
    EXPECT_EQ(row[2], std::byte{0});
    uint16_t first = 0, last = 0;
    std::memcpy(&first, row.data() + 528, 2);
    std::memcpy(&last, row.data() + 654, 2);
    EXPECT_EQ(first, 0x3F80);
    EXPECT_EQ(last, 0xC000);
  }
}

struct Shape {
  KvFormat format;
  int64_t D;
  int64_t rope_dim;
};

constexpr Shape kShapes[] = {
    {KvFormat::kFp8, 512, 64},     {KvFormat::kFp8, 128, 64},     {KvFormat::kFp8, 80, 16},
    {KvFormat::kFp8, 32, 8},       {KvFormat::kFp8, 256, 0},      {KvFormat::kFp4, 128, 0},
    {KvFormat::kFp4, 32, 0},       {KvFormat::kBf16, 512, 64},    {KvFormat::kFp8By128, 576, 64},
    {KvFormat::kFp8By128, 128, 0}, {KvFormat::kFp8By128, 48, 16}, {KvFormat::kFp8By128, 200, 8},
    {KvFormat::kBf16, 80, 16},     {KvFormat::kBf16, 128, 0},     {KvFormat::kF32, 512, 64},
    {KvFormat::kF32, 40, 8},
};

TEST(KvRows, every_version_encodes_to_the_same_bytes_as_the_reference) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (const Shape& shape : kShapes) {
    const auto bytes = static_cast<size_t>(kv_row_bytes(shape.format, shape.D, shape.rope_dim));
    for (int round = 0; round < 300; ++round) {
      std::vector<float> x = random_row(random, shape.D);
      if (round % 8 == 0) x[random() % x.size()] = std::numeric_limits<float>::quiet_NaN();
      std::vector<std::byte> want(bytes, std::byte{0xAA});
      encode_row(shape.format, x.data(), shape.D, shape.rope_dim, want.data());
      for (const CpuLevel level : supported_levels()) {
        std::vector<std::byte> got(bytes + 1, std::byte{0x55});
        encode_row_for(level)(shape.format, x.data(), shape.D, shape.rope_dim, got.data());
        ASSERT_TRUE(std::equal(want.begin(), want.end(), got.begin()))
            << label(level) << " " << kv_format_name(shape.format) << " " << shape.D << " round " << round << " byte "
            << std::mismatch(want.begin(), want.end(), got.begin()).first - want.begin();
        ASSERT_EQ(got.back(), std::byte{0x55}) << "wrote behind the row";
      }
    }
  }
}

TEST(KvRows, every_version_decodes_any_bytes_to_the_bits_of_the_reference) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (const Shape& shape : kShapes) {
    const auto D = static_cast<size_t>(shape.D);
    for (int round = 0; round < 300; ++round) {
      std::vector<std::byte> row(static_cast<size_t>(kv_row_bytes(shape.format, shape.D, shape.rope_dim)));
      for (std::byte& b : row) b = static_cast<std::byte>(random());
      std::vector<float> want(D);
      decode_row_reference(shape.format, row.data(), shape.D, shape.rope_dim, want.data());
      unify_nans(want);
      for (const CpuLevel level : supported_levels()) {
        std::vector<float> got(D + 1, 0.25f);
        decode_row_for(level)(shape.format, row.data(), shape.D, shape.rope_dim, got.data());
        ASSERT_EQ(got.back(), 0.25f) << "wrote behind the row";
        got.pop_back();
        unify_nans(got);
        ASSERT_TRUE(same_bits(got, want)) << label(level) << " " << kv_format_name(shape.format) << " " << shape.D;
      }
    }
  }
}

TEST(KvRows, blocks_of_128_are_rounded_as_the_goldens_say) {
  const GoldenFile golden("layers/formats.safetensors");
  const auto in = golden.f32("act_fp8.in");
  for (const CpuLevel level : supported_levels()) {
    const std::vector<float> latents = rounded(level, KvRounding::kE4m3By128, in, 256, 0);
    EXPECT_TRUE(same_bits(latents, golden.f32("act_fp8.pow2.b128"))) << label(level);
    EXPECT_TRUE(same_bits(through_bytes(KvFormat::kFp8By128, in, 256, 0, level), latents)) << label(level);
    // The transform, then the same rounding.
    const std::vector<float> transformed = rounded(level, KvRounding::kHadamard, in, 128, 0);
    EXPECT_TRUE(same_bits(rounded(level, KvRounding::kHadamardE4m3, in, 128, 0),
                          rounded(level, KvRounding::kE4m3By128, transformed, 128, 0)))
        << label(level);
  }
}

TEST(KvRows, whole_rows_of_v4_1_are_rounded_as_the_goldens_say) {
  const GoldenFile golden("layers/formats.safetensors");
  const std::span<const float> in = golden.f32("act_fp8.in");
  for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
    // Rotated channels are rounded with the others.
    EXPECT_TRUE(same_bits(rounded(level, KvRounding::kE4m3By32, in, 256, 64), golden.f32("act_fp8.pow2.b32")));
    EXPECT_TRUE(same_bits(rounded(level, KvRounding::kE2m1By16, in, 256, 64), golden.f32("act_fp4.e4m3.b16")));
    EXPECT_TRUE(same_bits(rounded(level, KvRounding::kE2m1By32, in, 256, 0), golden.f32("act_fp4.pow2.b32")));
  }
}

TEST(KvRows, every_version_rounds_to_the_bits_of_the_reference) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  CpuDevice portable({.n_threads = 1, .level = CpuLevel::kPortable});
  for (int round = 0; round < 200; ++round) {
    const KvRounding rounding = std::array{KvRounding::kE4m3,      KvRounding::kHadamard,     KvRounding::kHadamardE2m1,
                                           KvRounding::kE4m3By128, KvRounding::kHadamardE4m3, KvRounding::kE4m3By32,
                                           KvRounding::kE2m1By16,  KvRounding::kE2m1By32}[random() % 8];
    const bool is_e4m3 = rounding == KvRounding::kE4m3 || rounding == KvRounding::kE4m3By128;
    const int64_t D = is_e4m3 ? std::array{512, 80, 128, 72}[random() % 4] : std::array{128, 32, 64, 512}[random() % 4];
    const int64_t rope_dim = is_e4m3 ? std::array{64, 16, 0, 8}[random() % 4] : 0;
    const auto T = static_cast<int64_t>(random() % 40);
    const int64_t stride = D + static_cast<int64_t>(random() % 3) * 4;
    std::vector<float> x;
    for (int64_t t = 0; t < T; ++t) {
      const std::vector<float> row = random_row(random, stride);
      x.insert(x.end(), row.begin(), row.end());
    }
    const auto run = [&](CpuDevice& cpu, const Version<RoundRows>& version) {
      std::vector<float> y = x;
      version.run(cpu, {.x = y.data(), .T = T, .D = D, .x_stride = stride, .rope_dim = rope_dim, .rounding = rounding});
      return y;
    };
    const std::vector<float> want = run(portable, round_rows_versions().front());
    for (const Version<RoundRows>& version : round_rows_versions()) {
      if (version.level > detected_cpu_level()) continue;
      CpuDevice cpu({.n_threads = 1 + static_cast<int>(random() % 3)});
      ASSERT_TRUE(same_bits(run(cpu, version), want)) << label(version.level) << " D " << D << " T " << T;
    }
  }
}

TEST(KvRows, storing_rounded_rows_keeps_their_bits) {
  // Codes and scales of published roundings are exact: storing them is the same as keeping the rounded floats.
  std::mt19937 random(1);
  for (const CpuLevel level : supported_levels()) {
    std::vector<float> x = random_row(random, 512);
    for (size_t i = 448; i < 512; ++i) x[i] = round_to_bf16(x[i]);
    const std::vector<float> fp8 = rounded(level, KvRounding::kE4m3, x, 512, 64);
    EXPECT_TRUE(same_bits(through_bytes(KvFormat::kFp8, x, 512, 64, level), fp8)) << label(level);
    EXPECT_TRUE(same_bits(through_bytes(KvFormat::kFp8, fp8, 512, 64, level), fp8)) << label(level);
    const std::vector<float> latent = rounded(level, KvRounding::kE4m3By128, x, 512, 64);
    EXPECT_TRUE(same_bits(through_bytes(KvFormat::kFp8By128, x, 512, 64, level), latent)) << label(level);
    EXPECT_TRUE(same_bits(through_bytes(KvFormat::kFp8By128, latent, 512, 64, level), latent)) << label(level);
    const std::vector<float> fp4 = rounded(level, KvRounding::kHadamardE2m1, x, 512, 0);
    EXPECT_TRUE(same_bits(through_bytes(KvFormat::kFp4, fp4, 512, 0, level), fp4)) << label(level);
  }
}

}  // namespace
}  // namespace hadal::ops
