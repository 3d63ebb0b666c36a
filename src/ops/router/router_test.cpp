#include "ops/router/router.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "testing/golden.h"
#include "testing/ops.h"

namespace hadal::ops {
namespace {

using test::GoldenFile;
using test::random_floats;
using test::within;

struct Problem {
  int64_t T;
  int64_t E;
  int64_t K;
  RouterScore score = RouterScore::kSqrtSoftplus;
  float route_scale = 1;
  std::vector<float> logits;       // [T, E]
  std::vector<float> bias;         // [E], or empty
  std::vector<int32_t> tid2eid;    // [V, K], or empty
  std::vector<int32_t> token_ids;  // [T]
  int64_t n_groups = 1;
  int64_t n_limited_groups = 1;

  struct Outputs {
    std::vector<int32_t> experts;
    std::vector<float> weights;
  };

  Outputs outputs(void (*version)(CpuDevice&, const Router&), CpuDevice& cpu, int64_t first, int64_t n) const {
    Outputs out;
    out.experts.assign(static_cast<size_t>(n * K), -1);
    out.weights.assign(static_cast<size_t>(n * K), -1.0f);
    version(cpu, {.logits = logits.data() + first * E,
                  .bias = bias.empty() ? nullptr : bias.data(),
                  .tid2eid = tid2eid.empty() ? nullptr : tid2eid.data(),
                  .token_ids = tid2eid.empty() ? nullptr : token_ids.data() + first,
                  .experts = out.experts.data(),
                  .weights = out.weights.data(),
                  .T = n,
                  .E = E,
                  .K = K,
                  .score = score,
                  .route_scale = route_scale,
                  .n_groups = n_groups,
                  .n_limited_groups = n_limited_groups});
    return out;
  }

  // For testing/ops.h: the experts of a token, as floats, then their weights.
  std::vector<float> run(void (*version)(CpuDevice&, const Router&), CpuDevice& cpu, int64_t first, int64_t n) const {
    const Outputs out = outputs(version, cpu, first, n);
    std::vector<float> all;
    for (int64_t t = 0; t < n; ++t) {
      for (int64_t i = 0; i < K; ++i) all.push_back(static_cast<float>(out.experts[static_cast<size_t>(t * K + i)]));
      all.insert(all.end(), out.weights.begin() + t * K, out.weights.begin() + (t + 1) * K);
    }
    return all;
  }
};

Problem random_problem(int64_t T, int64_t E, int64_t K, RouterScore score, uint64_t seed) {
  Problem p{.T = T,
            .E = E,
            .K = K,
            .score = score,
            .route_scale = 1.5f,
            .logits = random_floats(seed, T * E, 4),
            .bias = random_floats(seed + 1, E, 0.2f),
            .tid2eid = {},
            .token_ids = {}};
  return p;
}

std::vector<double> exact_scores(const Problem& p, int64_t t) {
  const float* g = p.logits.data() + t * p.E;
  std::vector<double> s(g, g + p.E);
  const double largest = *std::max_element(s.begin(), s.end());
  double sum = 0;
  for (double& v : s) {
    switch (p.score) {
      case RouterScore::kSqrtSoftplus:
        v = std::sqrt(v > 20 ? v : std::log1p(std::exp(v)));
        break;
      case RouterScore::kSigmoid:
        v = 1 / (1 + std::exp(-v));
        break;
      case RouterScore::kSoftmax:
        sum += v = std::exp(v - largest);
        break;
    }
  }
  if (p.score == RouterScore::kSoftmax) {
    for (double& v : s) v /= sum;
  }
  return s;
}

// K ascending distinct experts, none of which a rejected one beats by more than the rounding of scores; and the weights
// of exactly these experts.
::testing::AssertionResult is_a_routing(const Problem& p, const Version<Router>& version) {
  CpuDevice cpu({.n_threads = 1});
  const Problem::Outputs out = p.outputs(version.run, cpu, 0, p.T);
  for (int64_t t = 0; t < p.T; ++t) {
    const std::vector<int32_t> experts(out.experts.begin() + t * p.K, out.experts.begin() + (t + 1) * p.K);
    for (size_t i = 0; i < experts.size(); ++i) {
      const int32_t previous = i == 0 ? -1 : experts[i - 1];
      if (experts[i] <= previous || experts[i] >= p.E) {
        return ::testing::AssertionFailure() << "token " << t << ": expert " << experts[i] << " after " << previous;
      }
    }
    const std::vector<double> s = exact_scores(p, t);
    double worst_chosen = std::numeric_limits<double>::infinity();
    double best_rejected = -worst_chosen;
    double sum = 0;
    for (int64_t e = 0; e < p.E; ++e) {
      const auto i = static_cast<size_t>(e);
      const double key = s[i] + (p.bias.empty() ? 0 : static_cast<double>(p.bias[i]));
      const bool is_chosen = std::binary_search(experts.begin(), experts.end(), static_cast<int32_t>(e));
      if (is_chosen) {
        worst_chosen = std::min(worst_chosen, key);
        sum += s[i];
      } else {
        best_rejected = std::max(best_rejected, key);
      }
    }
    // Keys of up to about 4 carry a few roundings of 2^-22.
    if (p.tid2eid.empty() && best_rejected > worst_chosen + 2e-6) {
      return ::testing::AssertionFailure()
             << "token " << t << ": rejected " << best_rejected << ", chose " << worst_chosen;
    }
    std::vector<float> want;
    for (const int32_t e : experts) {
      const double w = s[static_cast<size_t>(e)] / (p.score == RouterScore::kSoftmax ? 1 : sum);
      want.push_back(static_cast<float>(w * static_cast<double>(p.route_scale)));
    }
    // The contract: 2e-6 relative.
    const auto got = std::span(out.weights).subspan(static_cast<size_t>(t * p.K), static_cast<size_t>(p.K));
    if (auto r = within(got, want, {.rtol = 4e-6}); !r) return r << " (token " << t << ")";
  }
  return ::testing::AssertionSuccess();
}

TEST(Router, gives_the_weights_of_the_worked_example) {
  // Worked example 10.5.
  Problem p{.T = 1,
            .E = 4,
            .K = 2,
            .route_scale = 1.5f,
            .logits = {0.5f, -1, 2, 0.1f},
            .bias = {0, 0.9f, -0.5f, 0.05f},
            .tid2eid = {},
            .token_ids = {}};
  Problem without_bias = p;
  without_bias.bias.clear();
  Problem hashed = without_bias;
  hashed.tid2eid = {1, 2, 3, 0};
  hashed.token_ids = {1};
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(router_versions(), [&](const Version<Router>& version) {
    const Problem::Outputs out = p.outputs(version.run, cpu, 0, 1);
    EXPECT_EQ(out.experts, (std::vector<int32_t>{0, 1}));
    EXPECT_TRUE(within(out.weights, std::vector<float>{0.9571842f, 0.54281586f}, {.rtol = 1e-6}));
    EXPECT_EQ(without_bias.outputs(version.run, cpu, 0, 1).experts, (std::vector<int32_t>{0, 2}));
    const Problem::Outputs by_hash = hashed.outputs(version.run, cpu, 0, 1);
    EXPECT_EQ(by_hash.experts, (std::vector<int32_t>{0, 3}));
    EXPECT_TRUE(within(by_hash.weights, std::vector<float>{0.80034596f, 0.69965404f}, {.rtol = 1e-6}));
  });
}

TEST(Router, softplus_neither_overflows_nor_vanishes) {
  // Trap 18: a single chosen expert has weight 1; two show the ratio of their scores.
  const Problem p{.T = 1, .E = 2, .K = 2, .logits = {25, -30}, .bias = {}, .tid2eid = {}, .token_ids = {}};
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(router_versions(), [&](const Version<Router>& version) {
    const std::vector<float> weights = p.outputs(version.run, cpu, 0, 1).weights;
    EXPECT_FLOAT_EQ(weights[0], 5 / (5 + 3.059e-7f));
    EXPECT_NEAR(weights[1], 3.059e-7f / 5, 1e-11);  // the specification gives four digits
  });
}

// The logits of a golden case, x times the gate, and the experts and weights in ascending order of ids.
struct GoldenCase {
  Problem problem;
  std::vector<int32_t> experts;
  std::vector<float> weights;
};

GoldenCase golden_case(const GoldenFile& golden, const std::string& name, bool is_hash, RouterScore score,
                       float scale) {
  const auto x = golden.f32(name + "x");
  const auto w = golden.f32(name + "w");
  const auto bias = golden.f32(name + "bias");
  const auto T = static_cast<size_t>(golden.shape(name + "x")[0]);
  const auto C = static_cast<size_t>(golden.shape(name + "x")[1]);
  const auto E = static_cast<size_t>(golden.shape(name + "w")[0]);
  const auto K = static_cast<size_t>(golden.shape(name + "experts")[1]);
  GoldenCase c{.problem = {.T = static_cast<int64_t>(T),
                           .E = static_cast<int64_t>(E),
                           .K = static_cast<int64_t>(K),
                           .score = score,
                           .route_scale = scale,
                           .logits = {},
                           .bias = {bias.begin(), bias.end()},
                           .tid2eid = {},
                           .token_ids = {}},
               .experts = {},
               .weights = {}};
  for (size_t t = 0; t < T; ++t) {
    for (size_t e = 0; e < E; ++e) {
      double sum = 0;
      for (size_t i = 0; i < C; ++i) sum += static_cast<double>(w[e * C + i]) * x[t * C + i];
      c.problem.logits.push_back(static_cast<float>(sum));
    }
  }
  const auto ids = golden.i32(name + "ids");
  const auto table = golden.i32(name + "tid2eid");
  if (is_hash) {
    c.problem.bias.clear();
    c.problem.tid2eid.assign(table.begin(), table.end());
    c.problem.token_ids.assign(ids.begin(), ids.end());
  }
  const auto chosen = golden.i32(name + "experts");
  const auto weights = golden.f32(name + (is_hash ? "hash_weights" : "weights"));
  for (size_t t = 0; t < T; ++t) {
    std::vector<std::pair<int32_t, float>> row;
    for (size_t i = 0; i < K; ++i) {
      row.emplace_back(is_hash ? table[static_cast<size_t>(ids[t]) * K + i] : chosen[t * K + i], weights[t * K + i]);
    }
    std::sort(row.begin(), row.end());
    for (const auto& [expert, weight] : row) {
      c.experts.push_back(expert);
      c.weights.push_back(weight);
    }
  }
  return c;
}

TEST(Router, agrees_with_the_goldens_of_score_and_hash_routing_with_the_planted_tie) {
  const GoldenFile golden("layers/router.safetensors");
  const struct {
    const char* name;
    RouterScore score;
    float route_scale;
  } cases[] = {{"c0.", RouterScore::kSqrtSoftplus, 2.5f},  // experts 2 and 9 tie: 2 wins
               {"c1.", RouterScore::kSigmoid, 1},
               {"c2.", RouterScore::kSoftmax, 1},
               {"c3.", RouterScore::kSqrtSoftplus, 1.5f}};
  CpuDevice cpu({.n_threads = 1});
  for (const auto& c : cases) {
    for (const bool is_hash : {false, true}) {
      SCOPED_TRACE(std::string(c.name) + (is_hash ? "hash" : "score"));
      const GoldenCase g = golden_case(golden, c.name, is_hash, c.score, c.route_scale);
      test::for_each_version(router_versions(), [&](const Version<Router>& version) {
        const Problem::Outputs out = g.problem.outputs(version.run, cpu, 0, g.problem.T);
        EXPECT_EQ(out.experts, g.experts);
        EXPECT_TRUE(within(out.weights, g.weights, {.rtol = 4e-6}));  // the contract
      });
    }
  }
}

TEST(Router, chooses_within_the_best_groups_as_in_the_worked_example) {
  // deepseek-v3.md, 14.4: without the groups the answer would be 5, 7, 6.
  Problem p{.T = 1,
            .E = 8,
            .K = 3,
            .score = RouterScore::kSigmoid,
            .route_scale = 2.5f,
            .logits = {0, 2, 1.5f, 1.4f, -3, 3, 0.5f, 0.6f},
            .bias = {0, -0.2f, 0.1f, 0.1f, 0, 0, 0.3f, 0.3f},
            .tid2eid = {},
            .token_ids = {},
            .n_groups = 4,
            .n_limited_groups = 2};
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(router_versions(), [&](const Version<Router>& version) {
    const Problem::Outputs out = p.outputs(version.run, cpu, 0, 1);
    EXPECT_EQ(out.experts, (std::vector<int32_t>{2, 6, 7}));
    EXPECT_TRUE(within(out.weights, std::vector<float>{0.979981f, 0.746107f, 0.773912f}, {.rtol = 2e-6}));
  });
}

TEST(Router, agrees_with_the_goldens_of_groups_also_where_keys_are_negative) {
  const GoldenFile golden("layers/router.safetensors");
  const struct {
    const char* name;
    int64_t n_groups, n_limited_groups;
  } cases[] = {{"g0.", 4, 2}, {"g1.", 6, 3}, {"g2.", 4, 2}};
  CpuDevice cpu({.n_threads = 1});
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string name = c.name;
    const auto scores = golden.f32(name + "scores");
    const auto bias = golden.f32(name + "bias");
    const auto chosen = golden.i32(name + "experts");
    const auto weights = golden.f32(name + "weights");
    Problem p{.T = golden.shape(name + "scores")[0],
              .E = golden.shape(name + "scores")[1],
              .K = golden.shape(name + "experts")[1],
              .score = RouterScore::kSigmoid,
              .route_scale = 2.5f,
              .logits = {},
              .bias = {bias.begin(), bias.end()},
              .tid2eid = {},
              .token_ids = {},
              .n_groups = c.n_groups,
              .n_limited_groups = c.n_limited_groups};
    for (const float s : scores) p.logits.push_back(static_cast<float>(std::log(s / (1.0 - s))));
    std::vector<int32_t> want_experts;
    std::vector<float> want_weights;
    for (int64_t t = 0; t < p.T; ++t) {
      std::vector<std::pair<int32_t, float>> row;
      for (auto i = static_cast<size_t>(t * p.K); i < static_cast<size_t>((t + 1) * p.K); ++i) {
        row.emplace_back(chosen[i], weights[i]);
      }
      std::sort(row.begin(), row.end());
      for (const auto& [expert, weight] : row) {
        want_experts.push_back(expert);
        want_weights.push_back(weight);
      }
    }
    test::for_each_version(router_versions(), [&](const Version<Router>& version) {
      const Problem::Outputs out = p.outputs(version.run, cpu, 0, p.T);
      EXPECT_EQ(out.experts, want_experts);
      // The goldens' scores are rounded to float, and so are our logits of them.
      EXPECT_TRUE(within(out.weights, want_weights, {.rtol = 1e-5}));
    });
  }
}

TEST(Router, groups_of_every_size_choose_as_the_reference_does) {
  for (const auto& [E, n_groups, n_limited, K] :
       {std::array<int64_t, 4>{256, 8, 4, 8}, {256, 256, 9, 9}, {48, 3, 3, 5}, {4096, 64, 1, 64}, {6, 3, 2, 2}}) {
    Problem p = random_problem(20, E, K, RouterScore::kSigmoid, static_cast<uint64_t>(E + K));
    p.n_groups = n_groups;
    p.n_limited_groups = n_limited;
    CpuDevice cpu({.n_threads = 1});
    const Problem::Outputs want = p.outputs(router_reference, cpu, 0, p.T);
    test::for_each_version(router_versions(), [&](const Version<Router>& version) {
      EXPECT_EQ(p.outputs(version.run, cpu, 0, p.T).experts, want.experts) << E << " in " << n_groups;
    });
    test::expect_vector_versions_agree_to_the_bit(router_versions(), p);
    test::expect_rows_do_not_depend_on_company(router_versions(), p);
  }
}

TEST(Router, equal_groups_go_to_the_lower_one) {
  Problem p{.T = 1,
            .E = 12,
            .K = 3,
            .score = RouterScore::kSigmoid,
            .logits = std::vector<float>(12, -1.0f),
            .bias = {},
            .tid2eid = {},
            .token_ids = {},
            .n_groups = 4,
            .n_limited_groups = 2};
  p.logits[10] = 3;
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(router_versions(), [&](const Version<Router>& version) {
    EXPECT_EQ(p.outputs(version.run, cpu, 0, 1).experts, (std::vector<int32_t>{0, 1, 10}));
  });
}

TEST(Router, equal_keys_go_to_the_lower_expert) {
  Problem p{
      .T = 1, .E = 40, .K = 5, .logits = std::vector<float>(40, -1.0f), .bias = {}, .tid2eid = {}, .token_ids = {}};
  for (const size_t e : {11u, 30u, 31u, 39u, 2u, 20u}) p.logits[e] = 0.5f;
  p.logits[37] = 3;
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(router_versions(), [&](const Version<Router>& version) {
    EXPECT_EQ(p.outputs(version.run, cpu, 0, 1).experts, (std::vector<int32_t>{2, 11, 20, 30, 37}));
  });
}

RC_GTEST_PROP(Router, every_version_routes_random_shapes, ()) {
  const int64_t E = *rc::gen::inRange<int64_t>(1, 300);
  const int64_t K = *rc::gen::inRange<int64_t>(1, std::min<int64_t>(E, 64) + 1);
  const auto score = *rc::gen::element(RouterScore::kSqrtSoftplus, RouterScore::kSigmoid, RouterScore::kSoftmax);
  Problem p = random_problem(*rc::gen::inRange<int64_t>(0, 4), E, K, score, *rc::gen::inRange<uint64_t>(0, 1u << 31));
  if (*rc::gen::arbitrary<bool>()) p.bias.clear();
  test::for_each_version(router_versions(), [&](const Version<Router>& version) {
    const auto result = is_a_routing(p, version);
    if (!result) RC_FAIL(std::string(result.message()));
  });
}

TEST(Router, every_version_routes_the_shapes_of_v4) {
  for (const Problem& p : {random_problem(50, 256, 6, RouterScore::kSqrtSoftplus, 1),
                           random_problem(50, 384, 6, RouterScore::kSqrtSoftplus, 2),
                           random_problem(3, 4096, 64, RouterScore::kSigmoid, 3)}) {
    test::for_each_version(router_versions(), [&](const Version<Router>& v) { EXPECT_TRUE(is_a_routing(p, v)); });
    test::expect_vector_versions_agree_to_the_bit(router_versions(), p);
  }
}

TEST(Router, a_token_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  test::expect_rows_do_not_depend_on_company(router_versions(),
                                             random_problem(100, 256, 6, RouterScore::kSqrtSoftplus, 4));
  test::expect_rows_do_not_depend_on_company(router_versions(), random_problem(7, 50, 9, RouterScore::kSoftmax, 5));
  Problem hashed = random_problem(60, 256, 6, RouterScore::kSqrtSoftplus, 6);
  for (int32_t i = 0; i < 10 * 6; ++i) hashed.tid2eid.push_back((i * 37) % 256);
  for (int32_t t = 0; t < 60; ++t) hashed.token_ids.push_back(t % 10);
  test::expect_rows_do_not_depend_on_company(router_versions(), hashed);
  test::for_each_version(router_versions(), [&](const Version<Router>& v) { EXPECT_TRUE(is_a_routing(hashed, v)); });
}

TEST(Router, nan_stays_in_its_token_and_never_names_an_expert_that_is_not_there) {
  Problem p = random_problem(3, 256, 6, RouterScore::kSqrtSoftplus, 7);
  const Problem clean = p;
  std::fill_n(p.logits.begin() + 256, 100, std::numeric_limits<float>::quiet_NaN());
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(router_versions(), [&](const Version<Router>& version) {
    if (version.level == CpuLevel::kPortable) return;  // the definition sorts, which has no order for NaN
    const Problem::Outputs got = p.outputs(version.run, cpu, 0, 3);
    const Problem::Outputs want = clean.outputs(version.run, cpu, 0, 3);
    for (size_t i = 0; i < 18; ++i) {
      if (i / 6 != 1) {
        EXPECT_EQ(got.experts[i], want.experts[i]);
        EXPECT_EQ(got.weights[i], want.weights[i]);
      } else {
        EXPECT_TRUE(got.experts[i] >= 0 && got.experts[i] < 256);
        EXPECT_TRUE(i == 6 || got.experts[i] > got.experts[i - 1]);
      }
    }
  });
}

TEST(Router, the_first_logit_that_is_not_finite_is_noted) {
  CpuDevice cpu({.n_threads = 1});
  std::vector<float> logits(30, 0.5f);
  std::vector<int32_t> experts(6);
  std::vector<float> weights(6);
  int64_t not_finite = kAllFinite;
  Router op{.logits = logits.data(),
            .experts = experts.data(),
            .weights = weights.data(),
            .T = 3,
            .E = 10,
            .K = 2,
            .not_finite = &not_finite,
            .place = 100};
  router(cpu, op);
  EXPECT_EQ(not_finite, kAllFinite);
  logits[29] = std::numeric_limits<float>::infinity();
  logits[17] = std::numeric_limits<float>::quiet_NaN();
  router(cpu, op);
  EXPECT_EQ(not_finite, 117);
  op.place = 200;
  router(cpu, op);
  EXPECT_EQ(not_finite, 117) << "an earlier place stays";
}

}  // namespace
}  // namespace hadal::ops
