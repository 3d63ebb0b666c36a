#include "ops/hc_pre/hc_pre.h"

#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class HcPreCuda : public test::CudaTest {};

struct Outputs {
  std::vector<float> u, post, comb;
};

TEST_F(HcPreCuda, agrees_with_the_reference_and_tokens_stand_alone) {
  for (const int64_t n : {1, 2, 4, 8}) {
    for (const bool is_head : {false, true}) {
      constexpr int64_t T = 5, C = 4096;
      const int64_t width = is_head ? n : (2 + n) * n;
      const std::vector<float> x = test::normal_floats(1, T * n * C);
      const std::vector<float> projected = test::normal_floats(2, T * width, 3);
      const std::vector<float> scale = {0.7f, 1.1f, 0.9f};
      const std::vector<float> base = test::normal_floats(3, width);
      std::vector<float> u(static_cast<size_t>(T * C)), post(static_cast<size_t>(T * n)),
          comb(static_cast<size_t>(T * n * n));
      const HcPre on_cpu = {.x = x.data(),
                            .projected = projected.data(),
                            .scale = scale.data(),
                            .base = base.data(),
                            .u = u.data(),
                            .post = is_head ? nullptr : post.data(),
                            .comb = is_head ? nullptr : comb.data(),
                            .T = T,
                            .n = n,
                            .C = C,
                            .sinkhorn_iters = 20,
                            .norm_eps = 1e-6f,
                            .hc_eps = 1e-6f};
      hc_pre_reference(cpu(), on_cpu);
      const auto run = [&](int64_t t0, int64_t tokens) {
        const auto part = [&](const std::vector<float>& v, int64_t of) {
          return memory().put(std::span(v).subspan(static_cast<size_t>(t0 * of), static_cast<size_t>(tokens * of)));
        };
        HcPre op = on_cpu;
        op.x = part(x, n * C);
        op.projected = part(projected, width);
        op.scale = memory().put(scale);
        op.base = memory().put(base);
        op.u = memory().room<float>(tokens * C);
        op.post = is_head ? nullptr : memory().room<float>(tokens * n);
        op.comb = is_head ? nullptr : memory().room<float>(tokens * n * n);
        op.T = tokens;
        hc_pre(gpu(), op);
        Outputs out = {.u = memory().get(op.u, tokens * C), .post = {}, .comb = {}};
        if (!is_head) out.post = memory().get(op.post, tokens * n);
        if (!is_head) out.comb = memory().get(op.comb, tokens * n * n);
        return out;
      };
      const Outputs got = run(0, T);
      // The contract's 5e-6; u adds n channels of size 1 to 5 times that.
      EXPECT_TRUE(test::within(got.u, u, {.rtol = 1e-5, .atol = 5e-5})) << n;
      if (!is_head) {
        EXPECT_TRUE(test::within(got.post, post, {.rtol = 0, .atol = 5e-6})) << n;
        EXPECT_TRUE(test::within(got.comb, comb, {.rtol = 0, .atol = 5e-6})) << n;
      }
      const Outputs alone = run(3, 1);
      EXPECT_TRUE(test::same_bits(alone.u, std::span<const float>(got.u).subspan(3 * C, C))) << n;
    }
  }
}

}  // namespace
}  // namespace hadal::ops
