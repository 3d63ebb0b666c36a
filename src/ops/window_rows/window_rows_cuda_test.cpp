#include "ops/window_rows/window_rows.h"

#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class WindowRowsCuda : public test::CudaTest {};

TEST_F(WindowRowsCuda, gives_the_bytes_of_the_reference) {
  constexpr int64_t D = 512, kRopeDim = 64, kWindow = 128;
  for (const KvFormat format : {KvFormat::kF32, KvFormat::kBf16, KvFormat::kFp8}) {
    for (const auto& [position0, T, wants_rows] : {std::tuple<int64_t, int64_t, bool>{0, 1, true},
                                                   {5, 3, true},
                                                   {127, 1, true},
                                                   {300, 1, true},
                                                   {300, 200, true},
                                                   {300, 200, false},
                                                   {130, 5, false}}) {
      const int64_t row_bytes = kv_row_bytes(format, D, kRopeDim);
      const std::vector<float> kv = test::normal_floats(1, T * D);
      std::vector<std::byte> ring;
      for (int64_t i = 0; i < kWindow * row_bytes; ++i) ring.push_back(static_cast<std::byte>(i * 7 / row_bytes));
      WindowRows op{.kv = memory().put(kv),
                    .ring = memory().put(ring),
                    .T = T,
                    .position0 = position0,
                    .window = kWindow,
                    .D = D,
                    .rope_dim = kRopeDim,
                    .format = format,
                    .row_bytes = row_bytes};
      const int64_t bytes = (op.n_past() + T) * row_bytes;
      std::vector<std::byte> rows(static_cast<size_t>(bytes), std::byte{0xFF});
      op.rows = wants_rows ? memory().room<std::byte>(bytes) : nullptr;
      window_rows(gpu(), op);
      WindowRows on_cpu = op;
      on_cpu.kv = kv.data();
      on_cpu.ring = ring.data();
      on_cpu.rows = wants_rows ? rows.data() : nullptr;
      window_rows_reference(cpu(), on_cpu);
      EXPECT_EQ(memory().get(op.ring, kWindow * row_bytes), ring) << position0 << " + " << T;
      if (!wants_rows) continue;
      EXPECT_EQ(memory().get(op.rows, bytes), rows) << position0 << " + " << T;
    }
  }
}

}  // namespace
}  // namespace hadal::ops
