#include "ops/window_rows/window_rows.h"

#include <gtest/gtest.h>

#include "testing/ops.h"

namespace hadal::ops {
namespace {

constexpr int64_t kDim = 96, kRopeDim = 32, kWindow = 8;

struct Outputs {
  std::vector<std::byte> ring, rows;
};

// T tokens at position0 behind a ring whose bytes name their slot.
Outputs run(void (*version)(CpuDevice&, const WindowRows&), KvFormat format, int64_t position0, int64_t T,
            bool wants_rows = true) {
  CpuDevice cpu({.n_threads = 2});
  const int64_t row_bytes = kv_row_bytes(format, kDim, kRopeDim);
  const std::vector<float> kv = test::random_floats(static_cast<uint64_t>(position0 + 1), T * kDim);
  Outputs out;
  for (int64_t i = 0; i < kWindow * row_bytes; ++i) out.ring.push_back(static_cast<std::byte>(i / row_bytes + 1));
  WindowRows op{.kv = kv.data(),
                .ring = out.ring.data(),
                .T = T,
                .position0 = position0,
                .window = kWindow,
                .D = kDim,
                .rope_dim = kRopeDim,
                .format = format,
                .row_bytes = row_bytes};
  out.rows.resize(static_cast<size_t>((op.n_past() + T) * row_bytes));
  if (wants_rows) op.rows = out.rows.data();
  version(cpu, op);
  return out;
}

TEST(WindowRows, every_version_gives_the_bytes_of_the_reference) {
  for (const KvFormat format : {KvFormat::kF32, KvFormat::kBf16, KvFormat::kFp8}) {
    for (const int64_t position0 : {0, 3, 7, 8, 21}) {
      for (const int64_t T : {1, 2, 7, 8, 9, 40}) {
        SCOPED_TRACE(std::to_string(position0) + " + " + std::to_string(T));
        const Outputs want = run(window_rows_reference, format, position0, T);
        test::for_each_version(window_rows_versions(), [&](const Version<WindowRows>& version) {
          const Outputs got = run(version.run, format, position0, T);
          EXPECT_EQ(got.ring, want.ring);
          EXPECT_EQ(got.rows, want.rows);
          EXPECT_EQ(run(version.run, format, position0, T, false).ring, want.ring) << "without rows";
        });
      }
    }
  }
}

TEST(WindowRows, rows_are_the_past_in_order_and_the_ring_keeps_the_last_ones) {
  const Outputs out = run(window_rows_reference, KvFormat::kF32, 10, 1);
  // Positions 3 to 9 lie in slots 3 ... 7, 0, 1, whose bytes are one more.
  const std::vector<int> want = {4, 5, 6, 7, 8, 1, 2};
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(std::to_integer<int>(out.rows[i * kDim * 4]), want[i]);
  EXPECT_TRUE(std::equal(out.rows.end() - kDim * 4, out.rows.end(), out.ring.begin() + 2 * kDim * 4));
}

}  // namespace
}  // namespace hadal::ops
