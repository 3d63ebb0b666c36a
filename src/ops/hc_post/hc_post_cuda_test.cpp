#include "ops/hc_post/hc_post.h"

#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class HcPostCuda : public test::CudaTest {};

TEST_F(HcPostCuda, gives_the_bits_of_the_reference) {
  for (const int64_t n : {1, 2, 3, 4, 8}) {
    constexpr int64_t T = 3, C = 4096;
    std::vector<float> x = test::normal_floats(1, T * n * C);
    const std::vector<float> u = test::normal_floats(2, T * C);
    const std::vector<float> post = test::normal_floats(3, T * n);
    const std::vector<float> comb = test::normal_floats(4, T * n * n);
    HcPost op = {.x = memory().put(x),
                 .u = memory().put(u),
                 .post = memory().put(post),
                 .comb = memory().put(comb),
                 .T = T,
                 .n = n,
                 .C = C};
    hc_post(gpu(), op);
    const std::vector<float> got = memory().get(op.x, T * n * C);
    op = {.x = x.data(), .u = u.data(), .post = post.data(), .comb = comb.data(), .T = T, .n = n, .C = C};
    hc_post_reference(cpu(), op);
    EXPECT_TRUE(test::same_bits(got, x)) << n;
  }
}

}  // namespace
}  // namespace hadal::ops
