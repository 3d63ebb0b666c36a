#include "ops/embed/embed.h"

#include <gtest/gtest.h>

#include <cstring>

#include "testing/ops.h"

namespace hadal::ops {
namespace {

struct Problem {
  int64_t T;
  int64_t n;
  Weight table;
  std::vector<int32_t> ids;

  std::vector<float> run(void (*version)(CpuDevice&, const Embed&), CpuDevice& cpu, int64_t first,
                         int64_t count) const {
    std::vector<float> x(static_cast<size_t>(count * n * table.cols), -1.0f);
    version(cpu, {.table = table, .ids = ids.data() + first, .x = x.data(), .T = count, .n = n});
    return x;
  }
};

// A table of BF16 codes that begins at an odd byte, as one in a file may.
struct OddTable {
  std::vector<std::byte> bytes;
  Weight weight;

  OddTable(int64_t rows, int64_t cols) : bytes(static_cast<size_t>(rows * cols * 2 + 1)) {
    const std::vector<float> values = test::random_floats(1, rows * cols);
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t code = f32_to_bf16(values[i]);
      std::memcpy(&bytes[1 + 2 * i], &code, 2);
    }
    weight = {.dtype = DType::kBF16, .rows = rows, .cols = cols, .data = bytes.data() + 1};
  }
};

TEST(Embed, gives_every_stream_the_row_of_the_token) {
  const OddTable table(10, 24);
  const Problem p{.T = 3, .n = 4, .table = table.weight, .ids = {9, 0, 9}};
  CpuDevice cpu({.n_threads = 1});
  std::vector<float> want;
  for (const int32_t id : p.ids) {
    for (int64_t j = 0; j < 4; ++j) {
      for (int64_t c = 0; c < 24; ++c) {
        uint16_t code = 0;
        std::memcpy(&code, table.weight.data + 2 * (id * 24 + c), 2);
        want.push_back(bf16_to_f32(code));
      }
    }
  }
  EXPECT_TRUE(test::same_bits(p.run(embed_reference, cpu, 0, 3), want));
  test::for_each_version(embed_versions(), [&](const Version<Embed>& version) {
    EXPECT_TRUE(test::same_bits(p.run(version.run, cpu, 0, 3), want));
  });
}

TEST(Embed, every_stored_type_is_the_reference_bit_for_bit) {
  // Any bits will do as codes: the widening is exact. 64 columns in blocks of 32 with one scale each.
  std::vector<std::byte> codes(8 * 64 * 4);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::byte>(i * 37 % 113);
  const std::vector<std::byte> scales(8 * 2, std::byte{125});
  CpuDevice cpu({.n_threads = 1});
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kF8E4M3, DType::kF4E2M1}) {
    SCOPED_TRACE(dtype_name(dtype));
    Weight table{.dtype = dtype, .rows = 8, .cols = 64, .data = codes.data()};
    if (dtype == DType::kF8E4M3 || dtype == DType::kF4E2M1) {
      table.scale = scales.data();
      table.scale_rows = 1;
      table.scale_cols = 32;
    }
    const Problem p{.T = 3, .n = 2, .table = table, .ids = {7, 3, 0}};
    test::for_each_version(embed_versions(), [&](const Version<Embed>& version) {
      EXPECT_TRUE(test::same_bits(p.run(version.run, cpu, 0, 3), p.run(embed_reference, cpu, 0, 3)));
    });
  }
}

TEST(Embed, a_token_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  const OddTable table(10, 4096);
  test::expect_rows_do_not_depend_on_company(
      embed_versions(), Problem{.T = 12, .n = 4, .table = table.weight, .ids = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2}});
}

}  // namespace
}  // namespace hadal::ops
