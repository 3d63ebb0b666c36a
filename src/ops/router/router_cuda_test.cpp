#include "ops/router/router.h"

#include <cmath>

#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class RouterCuda : public test::CudaTest {
 protected:
  void compare(const Router& op, const std::vector<float>& logits, const std::vector<float>& bias) {
    std::vector<int32_t> experts(static_cast<size_t>(op.T * op.K));
    std::vector<float> weights(experts.size());
    Router on_cpu = op;
    on_cpu.logits = logits.data();
    on_cpu.bias = bias.empty() ? nullptr : bias.data();
    on_cpu.experts = experts.data();
    on_cpu.weights = weights.data();
    router_reference(cpu(), on_cpu);
    Router on_gpu = op;
    on_gpu.logits = memory().put(logits);
    on_gpu.bias = bias.empty() ? nullptr : memory().put(bias);
    on_gpu.experts = memory().room<int32_t>(op.T * op.K);
    on_gpu.weights = memory().room<float>(op.T * op.K);
    if (op.tid2eid != nullptr) {
      on_gpu.tid2eid = memory().put(std::span(op.tid2eid, static_cast<size_t>(10 * op.K)));
      on_gpu.token_ids = memory().put(std::span(op.token_ids, static_cast<size_t>(op.T)));
    }
    router(gpu(), on_gpu);
    EXPECT_EQ(memory().get(on_gpu.experts, op.T * op.K), experts);
    EXPECT_TRUE(test::within(memory().get(on_gpu.weights, op.T * op.K), weights, {.rtol = 4e-6, .atol = 4e-6}));
  }
};

TEST_F(RouterCuda, agrees_with_the_reference) {
  for (const RouterScore score : {RouterScore::kSqrtSoftplus, RouterScore::kSigmoid, RouterScore::kSoftmax}) {
    for (const int64_t E : {8, 100, 256, 4096}) {
      const int64_t K = std::min<int64_t>(E, E == 4096 ? 64 : 6);
      const std::vector<float> bias = test::normal_floats(2, E, 0.1f);
      compare({.T = 33, .E = E, .K = K, .score = score, .route_scale = 1.5f}, test::normal_floats(1, 33 * E, 2), bias);
    }
  }
}

TEST_F(RouterCuda, the_lower_id_wins_a_tie) {
  compare({.T = 4, .E = 256, .K = 6}, std::vector<float>(4 * 256, 0.5f), {});
}

TEST_F(RouterCuda, the_first_logit_that_is_not_finite_is_noted) {
  constexpr int64_t T = 5, E = 100, K = 6;
  std::vector<float> logits = test::normal_floats(1, T * E);
  for (const int64_t bad : {int64_t{-1}, 4 * E + 99, 2 * E + 33}) {
    if (bad >= 0) logits[static_cast<size_t>(bad)] = bad == 2 * E + 33 ? NAN : -INFINITY;
    for (const bool is_lower_known : {false, true}) {
      const std::vector<int64_t> before = {is_lower_known ? 1'001 : kAllFinite};
      Router op{.logits = memory().put(logits),
                .experts = memory().room<int32_t>(T * K),
                .weights = memory().room<float>(T * K),
                .T = T,
                .E = E,
                .K = K,
                .not_finite = memory().put(before),
                .place = 1'000};
      router(gpu(), op);
      std::vector<int64_t> want = before;
      if (bad >= 0) want[0] = std::min(want[0], 1'000 + bad);
      EXPECT_EQ(memory().get(op.not_finite, 1), want);
    }
  }
}

TEST_F(RouterCuda, hash_routing_takes_the_tables_row) {
  std::vector<int32_t> table;
  for (int32_t i = 0; i < 60; ++i) table.push_back((i * 37) % 256);
  const std::vector<int32_t> ids = {3, 9, 0};
  compare({.tid2eid = table.data(), .token_ids = ids.data(), .T = 3, .E = 256, .K = 6}, test::normal_floats(1, 3 * 256),
          {});
}

}  // namespace
}  // namespace hadal::ops
