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

// The widths of V4 Flash and V4 Pro have a kernel of their own.
TEST_F(HcPreCuda, the_norm_in_the_same_pass_gives_the_bits_of_two_ops) {
  for (const int64_t C : {4096, 7168, 512}) {
    for (const bool is_head : {false, true}) {
      constexpr int64_t T = 3, n = 4;
      const int64_t width = is_head ? n : (2 + n) * n;
      PackedRows packed = {.format = RowFormat::kBf16, .T = T, .groups = 1, .K = C, .data = nullptr};
      const int64_t packed_bytes = T * packed.row_bytes();
      HcPre op = {.x = memory().put(test::normal_floats(1, T * n * C)),
                  .projected = memory().put(test::normal_floats(2, T * width, 3)),
                  .scale = memory().put(std::vector<float>{0.7f, 1.1f, 0.9f}),
                  .base = memory().put(test::normal_floats(3, width)),
                  .T = T,
                  .n = n,
                  .C = C,
                  .sinkhorn_iters = 20,
                  .norm_eps = 1e-6f,
                  .hc_eps = 1e-6f};
      const float* gain = memory().put(test::normal_floats(4, C));
      const auto run = [&](bool together) {
        op.u = memory().room<float>(T * C);
        op.post = is_head ? nullptr : memory().room<float>(T * n);
        op.comb = is_head ? nullptr : memory().room<float>(T * n * n);
        packed.data = memory().room<std::byte>(packed_bytes);
        const RmsNorm norm = {.x = op.u,
                              .gain = gain,
                              .y = memory().room<float>(T * C),
                              .T = T,
                              .C = C,
                              .x_stride = C,
                              .y_stride = C,
                              .eps = 1e-5f,
                              .packed = packed};
        op.norm = together ? norm : RmsNorm();
        hc_pre(gpu(), op);
        if (!together) rms_norm(gpu(), norm);
        std::vector<std::vector<float>> out = {memory().get(op.u, T * C), memory().get(norm.y, T * C)};
        if (!is_head) out.push_back(memory().get(op.post, T * n));
        if (!is_head) out.push_back(memory().get(op.comb, T * n * n));
        return std::pair(out, memory().get(packed.data, packed_bytes));
      };
      EXPECT_EQ(run(true), run(false)) << C << (is_head ? ", a head" : "");
    }
  }
}

}  // namespace
}  // namespace hadal::ops
