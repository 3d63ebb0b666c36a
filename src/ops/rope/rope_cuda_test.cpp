#include "ops/rope/rope.h"

#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class RopeCuda : public test::CudaTest {};

TEST_F(RopeCuda, agrees_with_the_reference_both_ways) {
  constexpr int64_t T = 3, H = 64, D = 512, kRopeDim = 64;
  const std::vector<float> freqs = rope_frequencies({.theta = 10000, .rope_dim = kRopeDim});
  std::vector<float> cos_sin(T * kRopeDim);
  for (int64_t t = 0; t < T; ++t) rope_cos_sin(freqs, 1000 * t + 7, cos_sin.data() + t * kRopeDim);
  for (const bool inverse : {false, true}) {
    std::vector<float> want = test::normal_floats(1, T * H * D);
    Rope op = {.x = memory().put(want),
               .T = T,
               .H = H,
               .D = D,
               .t_stride = H * D,
               .rope_dim = kRopeDim,
               .cos_sin = memory().put(cos_sin),
               .inverse = inverse};
    rope(gpu(), op);
    const std::vector<float> got = memory().get(op.x, T * H * D);
    op.x = want.data();
    op.cos_sin = cos_sin.data();
    rope_reference(cpu(), op);
    EXPECT_TRUE(test::same_bits(got, want));  // the same two products and a sum
  }
}

}  // namespace
}  // namespace hadal::ops
