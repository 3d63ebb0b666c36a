#include "ops/rms_norm/rms_norm.h"

#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class RmsNormCuda : public test::CudaTest {};

TEST_F(RmsNormCuda, agrees_with_the_reference_and_rows_stand_alone) {
  for (const int64_t C : {8, 128, 512, 1536, 4096, 16384}) {
    constexpr int64_t T = 5;
    const int64_t stride = C + 8;
    const std::vector<float> x = test::normal_floats(1, T * stride, 3);
    const std::vector<float> gain = test::normal_floats(2, C);
    std::vector<float> want(static_cast<size_t>(T * C));
    RmsNorm op = {.x = x.data(),
                  .gain = gain.data(),
                  .y = want.data(),
                  .T = T,
                  .C = C,
                  .x_stride = stride,
                  .y_stride = C,
                  .eps = 1e-6f};
    rms_norm_reference(cpu(), op);
    op.x = memory().put(x);
    op.gain = memory().put(gain);
    op.y = memory().room<float>(T * C);
    rms_norm(gpu(), op);
    const std::vector<float> got = memory().get(op.y, T * C);
    EXPECT_TRUE(test::within_ulp(got, want, 4)) << C;

    RmsNorm alone = op;
    alone.x = op.x + 3 * stride;
    alone.y = memory().room<float>(C);
    alone.T = 1;
    rms_norm(gpu(), alone);
    EXPECT_TRUE(test::same_bits(memory().get(alone.y, C), std::span<const float>(got).subspan(
                                                              static_cast<size_t>(3 * C), static_cast<size_t>(C))));
  }
}

// Also where rows have zeros behind them.
TEST_F(RmsNormCuda, packs_the_bits_of_pack_rows) {
  for (const int64_t C : {1024, 4096, 72}) {
    constexpr int64_t T = 3;
    PackedRows packed = {.format = RowFormat::kBf16, .T = T, .groups = 1, .K = C, .data = nullptr};
    const int64_t bytes = T * packed.row_bytes();
    packed.data = memory().room<std::byte>(bytes);
    const RmsNorm op = {.x = memory().put(test::normal_floats(1, T * C, 3)),
                        .gain = memory().put(test::normal_floats(2, C)),
                        .y = memory().room<float>(T * C),
                        .T = T,
                        .C = C,
                        .x_stride = C,
                        .y_stride = C,
                        .eps = 1e-6f,
                        .packed = packed};
    rms_norm(gpu(), op);
    PackRows apart = packing_of(op);
    apart.out.data = memory().room<std::byte>(bytes);
    pack_rows(gpu(), apart);
    EXPECT_EQ(memory().get(packed.data, bytes), memory().get(apart.out.data, bytes)) << C;
  }
}

}  // namespace
}  // namespace hadal::ops
