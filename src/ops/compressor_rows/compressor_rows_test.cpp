#include "ops/compressor_rows/compressor_rows.h"

#include <gtest/gtest.h>

#include "testing/ops.h"

namespace hadal::ops {
namespace {

constexpr int64_t kDim = 16;

// A sequence's compressor, fed step by step: what it holds, and the rows of its last step.
struct Fed {
  int64_t m, coff;
  std::vector<float> previous, pending, rows;
  int64_t position = 0;

  Fed(int64_t group, int64_t halves)
      : m(group),
        coff(halves),
        previous(static_cast<size_t>(coff == 2 ? 2 * m * kDim : 0)),
        pending(static_cast<size_t>(2 * (m - 1) * coff * kDim)) {}

  CompressorRows feed(void (*version)(CpuDevice&, const CompressorRows&), int64_t T) {
    CpuDevice cpu({.n_threads = 1});
    const int64_t n = T * coff * kDim;
    const std::vector<float> k = test::random_floats(static_cast<uint64_t>(position + 1), n);
    const std::vector<float> z = test::random_floats(static_cast<uint64_t>(position + 1000), n);
    CompressorRows op{.fresh_k = k.data(),
                      .fresh_z = z.data(),
                      .previous = coff == 2 ? previous.data() : nullptr,
                      .pending = pending.data(),
                      .T = T,
                      .position0 = position,
                      .m = m,
                      .d = kDim,
                      .coff = coff};
    rows.assign(static_cast<size_t>(2 * op.n_rows() * op.width()), -1.0f);
    op.rows = rows.data();
    version(cpu, op);
    position += T;
    return op;
  }
};

TEST(CompressorRows, every_version_gives_what_the_reference_gives) {
  for (const auto& [ratio, halves] : {std::pair<int64_t, int64_t>{4, 2}, {8, 1}, {1, 1}}) {
    test::for_each_version(compressor_rows_versions(),
                           [&, m = ratio, coff = halves](const Version<CompressorRows>& version) {
                             Fed want(m, coff), got(m, coff);
                             for (const int64_t T : {1, 2, 1, 1, 9, 3, 4, 25, 1, 1, 1, 1}) {
                               SCOPED_TRACE(std::to_string(want.position) + " + " + std::to_string(T));
                               want.feed(compressor_rows_reference, T);
                               got.feed(version.run, T);
                               EXPECT_TRUE(test::same_bits(got.rows, want.rows));
                               EXPECT_TRUE(test::same_bits(got.pending, want.pending));
                               EXPECT_TRUE(test::same_bits(got.previous, want.previous));
                             }
                           });
  }
}

TEST(CompressorRows, rows_of_a_group_that_came_token_by_token_are_those_that_came_at_once) {
  Fed whole(4, 2), steps(4, 2);
  const CompressorRows first = whole.feed(compressor_rows_reference, 4);
  EXPECT_EQ(first.n_rows(), 4);
  for (int64_t t = 0; t < 4; ++t) {
    const CompressorRows op = steps.feed(compressor_rows_reference, 1);
    EXPECT_EQ(op.n_groups(), t == 3 ? 1 : 0);
  }
  EXPECT_EQ(whole.feed(compressor_rows_reference, 4).n_rows(), 8) << "the group before comes first";
}

}  // namespace
}  // namespace hadal::ops
