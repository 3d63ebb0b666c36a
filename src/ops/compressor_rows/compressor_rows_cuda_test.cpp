#include "ops/compressor_rows/compressor_rows.h"

#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class CompressorRowsCuda : public test::CudaTest {};

TEST_F(CompressorRowsCuda, gives_what_the_reference_gives) {
  for (const auto& [m, coff, d] : {std::tuple<int64_t, int64_t, int64_t>{4, 2, 128}, {128, 1, 512}}) {
    std::vector<float> previous(static_cast<size_t>(2 * m * d));
    std::vector<float> pending(static_cast<size_t>(2 * (m - 1) * coff * d));
    auto* gpu_previous = memory().put(previous);
    auto* gpu_pending = memory().put(pending);
    int64_t position = 0;
    for (const int64_t T : {1, 1, 1, 1, 3, 130, 1, 2, 125, 1}) {
      const std::vector<float> k = test::normal_floats(static_cast<uint64_t>(position), T * coff * d);
      const std::vector<float> z = test::normal_floats(static_cast<uint64_t>(position + 1000), T * coff * d);
      CompressorRows op{.fresh_k = k.data(),
                        .fresh_z = z.data(),
                        .previous = coff == 2 ? previous.data() : nullptr,
                        .pending = pending.data(),
                        .T = T,
                        .position0 = position,
                        .m = m,
                        .d = d,
                        .coff = coff};
      const int64_t n = 2 * op.n_rows() * op.width();
      std::vector<float> rows(static_cast<size_t>(n));
      auto* gpu_rows = memory().put(rows);
      op.rows = rows.data();
      compressor_rows_reference(cpu(), op);
      CompressorRows on_gpu = op;
      on_gpu.fresh_k = memory().put(k);
      on_gpu.fresh_z = memory().put(z);
      on_gpu.previous = coff == 2 ? gpu_previous : nullptr;
      on_gpu.pending = gpu_pending;
      on_gpu.rows = gpu_rows;
      compressor_rows(gpu(), on_gpu);
      SCOPED_TRACE(position);
      EXPECT_TRUE(test::same_bits(memory().get(gpu_rows, n), rows));
      EXPECT_TRUE(test::same_bits(memory().get(gpu_pending, std::ssize(pending)), pending));
      EXPECT_TRUE(test::same_bits(memory().get(gpu_previous, std::ssize(previous)), previous));
      position += T;
    }
  }
}

// Sequences of different positions, of which some complete a group in this step and some do not.
TEST_F(CompressorRowsCuda, a_list_gives_what_each_op_gives_alone) {
  for (const auto& [m, coff, d] : {std::tuple<int64_t, int64_t, int64_t>{4, 2, 128}, {128, 1, 512}}) {
    for (const int64_t n_ops : {2, 8, 9, 70}) {
      struct Kept {
        std::vector<float> k, z, previous, pending, rows;
      };
      std::vector<Kept> kept;
      std::vector<CompressorRows> ops;
      for (int64_t i = 0; i < n_ops; ++i) {
        const auto seed = static_cast<uint64_t>(10 * i);
        const int64_t T = i % 6 == 5 ? m + 3 : 1;
        CompressorRows op{.T = T, .position0 = i % 3 == 0 ? i * m + m - 1 : i, .m = m, .d = d, .coff = coff};
        kept.push_back({.k = test::normal_floats(seed, T * op.width()),
                        .z = test::normal_floats(seed + 1, T * op.width()),
                        .previous = test::normal_floats(seed + 2, coff == 2 ? 2 * m * d : 0),
                        .pending = test::normal_floats(seed + 3, 2 * (m - 1) * op.width()),
                        .rows = std::vector<float>(static_cast<size_t>(2 * op.n_rows() * op.width()))});
        op.fresh_k = memory().put(kept.back().k);
        op.fresh_z = memory().put(kept.back().z);
        op.previous = coff == 2 ? memory().put(kept.back().previous) : nullptr;
        op.pending = memory().put(kept.back().pending);
        op.rows = memory().put(kept.back().rows);
        ops.push_back(op);
      }
      compressor_rows(gpu(), ops);
      for (size_t i = 0; i < ops.size(); ++i) {
        Kept& want = kept[i];
        CompressorRows on_cpu = ops[i];
        on_cpu.fresh_k = want.k.data();
        on_cpu.fresh_z = want.z.data();
        on_cpu.previous = coff == 2 ? want.previous.data() : nullptr;
        on_cpu.pending = want.pending.data();
        on_cpu.rows = want.rows.data();
        compressor_rows_reference(cpu(), on_cpu);
        SCOPED_TRACE(std::to_string(i) + " of " + std::to_string(n_ops));
        EXPECT_TRUE(test::same_bits(memory().get(ops[i].rows, std::ssize(want.rows)), want.rows));
        EXPECT_TRUE(test::same_bits(memory().get(ops[i].pending, std::ssize(want.pending)), want.pending));
        if (coff == 1) continue;
        EXPECT_TRUE(test::same_bits(memory().get(ops[i].previous, std::ssize(want.previous)), want.previous));
      }
    }
  }
}

}  // namespace
}  // namespace hadal::ops
