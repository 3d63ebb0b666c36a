#include "base/blocks/block_codec.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/blocks/iq2_xxs_grid.h"
#include "base/io.h"
#include "base/json.h"

namespace hadal {
namespace {

// Root mean square error of normal values of unit size after encode and decode, at most: what the bits allow, with a
// tenth to spare over what was measured (2026-11).
struct Quality {
  DType dtype;
  double rms_error_max;
};
constexpr Quality kQualities[] = {
    {DType::kF32, 0},     {DType::kF16, 3e-4},  {DType::kBF16, 2e-3},   {DType::kQ8_0, 0.006},  {DType::kQ6K, 0.022},
    {DType::kQ5K, 0.045}, {DType::kQ4K, 0.085}, {DType::kQ4_0, 0.105},  {DType::kIQ4XS, 0.085}, {DType::kMXFP4, 0.135},
    {DType::kQ3K, 0.175}, {DType::kQ2K, 0.32},  {DType::kIQ2XXS, 0.47},
};

std::vector<float> normal_values(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& v : values) v = normal(random);
  return values;
}

std::vector<float> there_and_back(DType dtype, const std::vector<float>& values, const float* importance = nullptr) {
  const auto n = static_cast<int64_t>(values.size());
  std::vector<std::byte> data(static_cast<size_t>(dtype_bytes(dtype, n)));
  encode_values(dtype, values.data(), importance, n, data.data());
  std::vector<float> back(values.size());
  decode_values(dtype, data.data(), n, back.data());
  return back;
}

double rms_error(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

std::vector<std::byte> from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::vector<std::byte> bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  return bytes;
}

// tests/data/gguf/blocks.json: two blocks of each type and the f32 bits that llama.cpp's decoder gives.
TEST(BlockCodec, blocks_decode_to_the_same_bits_as_everywhere) {
  const Result<std::string> text = read_file(HADAL_SOURCE_DIR "/tests/data/gguf/blocks.json", 1 << 20);
  ASSERT_TRUE(text.ok());
  const Result<json::Value> root = json::parse(*text, "blocks.json");
  ASSERT_TRUE(root.ok());
  size_t n_types = 0;
  for (const Quality& quality : kQualities) {
    if (!is_block_type(quality.dtype)) continue;
    const json::Value* blocks = root->find(dtype_name(quality.dtype));
    ASSERT_NE(blocks, nullptr) << dtype_name(quality.dtype);
    ++n_types;
    for (const json::Value& block : blocks->items()) {
      const std::vector<std::byte> bytes = from_hex(block.find("block")->as_string());
      const std::vector<std::byte> want = from_hex(block.find("f32")->as_string());
      const BlockSize size = dtype_block(quality.dtype);
      ASSERT_EQ(bytes.size(), static_cast<size_t>(size.bytes));
      ASSERT_EQ(want.size(), 4 * static_cast<size_t>(size.values));
      std::vector<float> values(static_cast<size_t>(size.values));
      decode_values(quality.dtype, bytes.data(), size.values, values.data());
      for (size_t i = 0; i < values.size(); ++i) {
        uint32_t bits;
        std::memcpy(&bits, want.data() + 4 * i, 4);
        // A minus zero is written as 0 in the vectors.
        if (values[i] == 0 && (bits & 0x7FFFFFFF) == 0) continue;
        ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), bits) << dtype_name(quality.dtype) << " value " << i;
      }
    }
  }
  EXPECT_EQ(n_types, root->members().size());
}

TEST(BlockCodec, encoding_keeps_what_the_bits_allow) {
  const std::vector<float> values = normal_values(256 * 64, 1);
  for (const Quality& quality : kQualities) {
    const double error = rms_error(values, there_and_back(quality.dtype, values));
    EXPECT_LE(error, quality.rms_error_max) << dtype_name(quality.dtype);
    EXPECT_GE(error, quality.rms_error_max * 0.6) << dtype_name(quality.dtype) << ": the bound is too loose";
  }
}

TEST(BlockCodec, encoding_does_not_depend_on_the_size_of_the_values) {
  for (const Quality& quality : kQualities) {
    std::vector<float> values = normal_values(2048, 2);
    for (float& v : values) v *= 0x1p-6f;
    EXPECT_LE(rms_error(values, there_and_back(quality.dtype, values)), quality.rms_error_max * 1.2 * 0x1p-6)
        << dtype_name(quality.dtype);
  }
}

TEST(BlockCodec, zeros_stay_zeros_and_one_sided_values_are_kept) {
  for (const Quality& quality : kQualities) {
    for (const float v : there_and_back(quality.dtype, std::vector<float>(512, 0.0f)))
      ASSERT_EQ(v, 0.0f) << dtype_name(quality.dtype);
    for (const float sign : {1.0f, -1.0f}) {
      std::vector<float> values = normal_values(512, 3);
      for (float& v : values) v = sign * (1.0f + std::abs(v));
      EXPECT_LE(rms_error(values, there_and_back(quality.dtype, values)), 2.5 * quality.rms_error_max)
          << dtype_name(quality.dtype) << sign;
    }
  }
}

TEST(BlockCodec, important_values_come_back_better) {
  const std::vector<float> values = normal_values(256 * 32, 4);
  std::vector<float> importance(values.size(), 0.01f);
  for (size_t i = 0; i < importance.size(); i += 4) importance[i] = 10.0f;
  const auto error_of_important = [&](const std::vector<float>& back) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); i += 4) sum += std::pow(static_cast<double>(values[i] - back[i]), 2);
    return sum;
  };
  for (const DType dtype : {DType::kQ2K, DType::kQ3K, DType::kQ4K, DType::kIQ2XXS}) {
    EXPECT_LT(error_of_important(there_and_back(dtype, values, importance.data())),
              0.9 * error_of_important(there_and_back(dtype, values)))
        << dtype_name(dtype);
  }
}

TEST(BlockCodec, fp4_that_is_already_there_is_kept_exactly) {
  std::mt19937 random(5);
  std::vector<float> values(1024);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = e2m1_to_f32(static_cast<uint8_t>(random() & 15)) * exp2i(static_cast<int>(i / 32) % 7 - 3);
  // A block without its largest code would be given a smaller scale, which holds the same numbers.
  for (size_t i = 0; i < values.size(); i += 32) values[i] = 6.0f * exp2i(static_cast<int>(i / 32) % 7 - 3);
  EXPECT_EQ(there_and_back(DType::kMXFP4, values), values);
}

TEST(BlockCodec, a_scale_that_is_no_number_is_found) {
  for (const Quality& quality : kQualities) {
    if (!is_block_type(quality.dtype)) continue;
    const BlockSize size = dtype_block(quality.dtype);
    std::vector<std::byte> data(static_cast<size_t>(3 * size.bytes));
    const std::vector<float> values = normal_values(3 * static_cast<size_t>(size.values), 6);
    encode_values(quality.dtype, values.data(), nullptr, 3 * size.values, data.data());
    EXPECT_EQ(first_bad_scale(quality.dtype, data.data(), 3 * size.values), std::nullopt);
    // 0xFF in each byte of the second block: the scale is among them.
    for (int i = 0; i < size.bytes; ++i) data[static_cast<size_t>(size.bytes + i)] = std::byte{0xFF};
    EXPECT_EQ(first_bad_scale(quality.dtype, data.data(), 3 * size.values), size.values) << dtype_name(quality.dtype);
  }
}

TEST(BlockCodec, the_grid_is_a_lattice_that_ascends) {
  for (size_t i = 0; i < kIq2XxsGrid.size(); ++i) {
    uint32_t sum = 0;
    for (int t = 0; t < 8; ++t) sum += (kIq2XxsGrid[i] >> (2 * t)) & 3;
    EXPECT_EQ(sum % 2, 0u) << i;
    EXPECT_TRUE(i == 0 || kIq2XxsGrid[i - 1] < kIq2XxsGrid[i]) << i;
  }
}

}  // namespace
}  // namespace hadal
