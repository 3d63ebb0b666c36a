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

// Lists of every size that has a launch of its own, with rows and without, one token and many side by side.
TEST_F(WindowRowsCuda, a_list_gives_the_bytes_of_each_op_alone) {
  constexpr int64_t D = 512, kRopeDim = 64, kWindow = 128, kTokensMax = 200;
  constexpr KvFormat kFormat = KvFormat::kFp8;
  const int64_t row_bytes = kv_row_bytes(kFormat, D, kRopeDim);
  const std::vector<float> kv = test::normal_floats(1, kTokensMax * D);
  const float* gpu_kv = memory().put(kv);
  for (const int64_t n_ops : {2, 8, 9, 70}) {
    for (const bool wants_rows : {true, false}) {
      std::vector<WindowRows> ops;
      std::vector<std::vector<std::byte>> rings;
      for (int64_t i = 0; i < n_ops; ++i) {
        rings.emplace_back(static_cast<size_t>(kWindow * row_bytes), static_cast<std::byte>(i));
        const int64_t T = i % 5 == 3 ? kTokensMax - i : i % 7 == 4 ? 3 : 1;
        WindowRows op{.kv = T == 1 ? gpu_kv + i * D : gpu_kv,
                      .ring = memory().put(rings.back()),
                      .T = T,
                      .position0 = i * i * 3,
                      .window = kWindow,
                      .D = D,
                      .rope_dim = kRopeDim,
                      .format = kFormat,
                      .row_bytes = row_bytes};
        if (wants_rows) op.rows = memory().room<std::byte>((op.n_past() + op.T) * row_bytes);
        ops.push_back(op);
      }
      window_rows(gpu(), ops);
      for (size_t i = 0; i < ops.size(); ++i) {
        const WindowRows& op = ops[i];
        std::vector<std::byte> rows(static_cast<size_t>((op.n_past() + op.T) * row_bytes));
        WindowRows on_cpu = op;
        on_cpu.kv = kv.data() + (op.kv - gpu_kv);
        on_cpu.ring = rings[i].data();
        on_cpu.rows = wants_rows ? rows.data() : nullptr;
        window_rows_reference(cpu(), on_cpu);
        EXPECT_EQ(memory().get(op.ring, kWindow * row_bytes), rings[i]) << i << " of " << n_ops;
        if (!wants_rows) continue;
        EXPECT_EQ(memory().get(op.rows, std::ssize(rows)), rows) << i << " of " << n_ops;
      }
    }
  }
}

}  // namespace
}  // namespace hadal::ops
