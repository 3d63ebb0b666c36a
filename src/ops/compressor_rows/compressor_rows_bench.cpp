// V4's compressors: groups of 4 with overlap and of 128, 512 channels; a token that completes a group, and a prefill.
#include "ops/compressor_rows/compressor_rows.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kDim = 512;

struct Problem {
  std::vector<float> fresh, previous, pending, rows;
  CompressorRows op;

  Problem(int64_t m, int64_t coff, int64_t T) {
    op = {.T = T, .position0 = 128 * 8 - 1, .m = m, .d = kDim, .coff = coff};
    fresh.resize(static_cast<size_t>(T * op.width()), 0.5f);
    previous.resize(static_cast<size_t>(2 * m * kDim), 0.5f);
    pending.resize(static_cast<size_t>(2 * (m - 1) * op.width()), 0.5f);
    rows.resize(static_cast<size_t>(2 * op.n_rows() * op.width()));
    op.fresh_k = op.fresh_z = fresh.data();
    op.previous = coff == 2 ? previous.data() : nullptr;
    op.pending = pending.data();
    op.rows = rows.data();
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const auto& [m, coff] : {std::pair<int64_t, int64_t>{4, 2}, {128, 1}}) {
    for (const int64_t T : {1, 512}) {
      const Problem problem(m, coff, T);
      const auto bytes = static_cast<double>(2 * 2 * 4 * (problem.op.n_rows() * problem.op.width()));
      test::register_op("compressor_rows", "m" + std::to_string(m) + "_T" + std::to_string(T),
                        compressor_rows_versions(), {.bytes = bytes},
                        [m = m, coff = coff, T] { return Problem(m, coff, T); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
