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

}  // namespace
}  // namespace hadal::ops
