// A window of 128 rows of 512 channels in FP8: copied behind each other for one token, encoded for many.
#include "ops/window_rows/window_rows.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kDim = 512, kRopeDim = 64, kWindow = 128, kPosition0 = 1000;

struct Problem {
  std::vector<float> kv;
  std::vector<std::byte> ring, rows;
  WindowRows op;

  explicit Problem(int64_t T) : kv(static_cast<size_t>(T * kDim), 0.5f) {
    const int64_t row_bytes = kv_row_bytes(KvFormat::kFp8, kDim, kRopeDim);
    ring.resize(static_cast<size_t>(kWindow * row_bytes));
    rows.resize(static_cast<size_t>((kWindow + T) * row_bytes));
    op = {.kv = kv.data(),
          .ring = ring.data(),
          .rows = rows.data(),
          .T = T,
          .position0 = kPosition0,
          .window = kWindow,
          .D = kDim,
          .rope_dim = kRopeDim,
          .format = KvFormat::kFp8,
          .row_bytes = row_bytes};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 512}) {
    const auto row_bytes = static_cast<double>(kv_row_bytes(KvFormat::kFp8, kDim, kRopeDim));
    const auto tokens = static_cast<double>(T);
    test::register_op("window_rows", "T" + std::to_string(T) + "_D512_fp8", window_rows_versions(),
                      {.bytes = tokens * (kDim * 4 + 2 * row_bytes) + 2 * (kWindow - 1) * row_bytes},
                      [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
