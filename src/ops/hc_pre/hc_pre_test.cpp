#include "ops/hc_pre/hc_pre.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "testing/golden.h"
#include "testing/ops.h"

namespace hadal::ops {
namespace {

using test::GoldenFile;
using test::random_floats;
using test::within;

// Everything that one call takes and gives; a head has neither post nor comb.
struct Problem {
  int64_t T;
  int64_t n;
  int64_t C;
  bool is_head = false;
  int64_t sinkhorn_iters = 20;
  float norm_eps = 1e-6f;
  float hc_eps = 1e-6f;
  std::vector<float> x;          // [T, n, C]
  std::vector<float> projected;  // [T, M]
  std::vector<float> scale;
  std::vector<float> base;  // [M]

  int64_t M() const { return is_head ? n : (2 + n) * n; }

  struct Outputs {
    std::vector<float> u, post, comb;
  };

  Outputs outputs(void (*version)(CpuDevice&, const HcPre&), CpuDevice& cpu, int64_t first, int64_t count) const {
    Outputs out;
    out.u.assign(static_cast<size_t>(count * C), -1.0f);
    if (!is_head) {
      out.post.assign(static_cast<size_t>(count * n), -1.0f);
      out.comb.assign(static_cast<size_t>(count * n * n), -1.0f);
    }
    version(cpu, {.x = x.data() + first * n * C,
                  .projected = projected.data() + first * M(),
                  .scale = scale.data(),
                  .base = base.data(),
                  .u = out.u.data(),
                  .post = is_head ? nullptr : out.post.data(),
                  .comb = is_head ? nullptr : out.comb.data(),
                  .T = count,
                  .n = n,
                  .C = C,
                  .sinkhorn_iters = sinkhorn_iters,
                  .norm_eps = norm_eps,
                  .hc_eps = hc_eps});
    return out;
  }

  // For testing/ops.h: token after token.
  std::vector<float> run(void (*version)(CpuDevice&, const HcPre&), CpuDevice& cpu, int64_t first,
                         int64_t count) const {
    const Outputs out = outputs(version, cpu, first, count);
    std::vector<float> all;
    const auto append = [&](const std::vector<float>& values, int64_t t, int64_t width) {
      if (!values.empty()) all.insert(all.end(), values.begin() + t * width, values.begin() + (t + 1) * width);
    };
    for (int64_t t = 0; t < count; ++t) {
      append(out.u, t, C);
      append(out.post, t, n);
      append(out.comb, t, n * n);
    }
    return all;
  }
};

Problem random_problem(int64_t T, int64_t n, int64_t C, bool is_head, uint64_t seed) {
  Problem p{.T = T, .n = n, .C = C, .is_head = is_head, .x = {}, .projected = {}, .scale = {}, .base = {}};
  p.x = random_floats(seed, T * n * C, 2);
  p.projected = random_floats(seed + 1, T * p.M(), 3);
  p.scale = random_floats(seed + 2, is_head ? 1 : 3);
  p.base = random_floats(seed + 3, p.M());
  return p;
}

::testing::AssertionResult agrees(const Problem& p, const Version<HcPre>& version) {
  CpuDevice cpu({.n_threads = 1});
  const Problem::Outputs got = p.outputs(version.run, cpu, 0, p.T);
  const Problem::Outputs want = p.outputs(hc_pre_reference, cpu, 0, p.T);
  // The contract: 5e-6 of each weight. u adds n products of values of up to about 8, weighted with up to 1, which may
  // cancel.
  if (auto r = within(got.post, want.post, {.rtol = 5e-6}); !r) return r << " (post)";
  if (auto r = within(got.comb, want.comb, {.rtol = 5e-6}); !r) return r << " (comb)";
  return within(got.u, want.u, {.rtol = 5e-6, .atol = 4e-5}) << " (u)";
}

// --- sinkhorn --------------------------------------------------------------------------------------------------------

TEST(Sinkhorn, gives_the_worked_example_after_1_2_and_20_iterations) {
  const struct {
    int64_t iters;
    std::vector<float> want;
  } cases[] = {{1, {0.22017056f, 0.9390769f, 0.77982867f, 0.060921814f}},
               {2, {0.16996098f, 0.9178933f, 0.83003813f, 0.082105584f}},
               {20, {0.11920636f, 0.8807974f, 0.8807927f, 0.11920158f}}};
  for (const auto& c : cases) {
    std::vector<float> a = {0, 1, 2, -1};
    sinkhorn(a.data(), 2, c.iters, 1e-6f);
    EXPECT_TRUE(within(a, c.want, {.rtol = 1e-6}));  // the specification's tolerance
  }
}

TEST(Sinkhorn, of_equal_logits_is_a_quarter_everywhere) {
  std::vector<float> a(16, 0.0f);
  sinkhorn(a.data(), 4, 20, 1e-6f);
  for (const float v : a) EXPECT_NEAR(v, 0.25f, 1e-6);
}

// --- the whole op ----------------------------------------------------------------------------------------------------

TEST(HcPre, gives_the_split_of_the_worked_example) {
  // Worked example 10.3, whose m is after the scalar q: streams with mean square 1 - norm_eps make q one, and with a
  // single nonzero channel each they show `pre` in u.
  const float a = std::sqrt(8 * (1 - 1e-6f));
  Problem p{.T = 1, .n = 4, .C = 8, .x = std::vector<float>(32, 0.0f), .projected = {}, .scale = {}, .base = {}};
  for (size_t j = 0; j < 4; ++j) p.x[j * 8 + j] = a;
  p.projected = {-1.2f, -1.1f, -1.0f, -0.9f, -0.8f, -0.7f, -0.6f, -0.5f, 0.5f, -0.25f, 1,    0,
                 -1,    0.75f, 0.25f, 0.5f,  0,     0,     2,     -0.5f, 1.5f, -1.5f,  0.5f, 0.25f};
  p.scale = {1.5f, 0.5f, 2};
  p.base = {0, 0.1f, -0.1f, 0.2f, 0.3f, -0.3f, 0, 0.5f, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
  const std::vector<float> pre = {0.14185205f, 0.17508727f, 0.16798261f, 0.24049012f};
  const std::vector<float> post = {0.9500417f, 0.6859791f, 0.851115f, 1.124353f};
  const std::vector<float> comb = {0.47310466f,   0.13592611f,   0.11742688f,  0.27359346f, 0.0024701725f, 0.7781629f,
                                   0.0074683507f, 0.21197814f,   0.023302715f, 0.08156006f, 0.8582706f,    0.036640033f,
                                   0.5011214f,    0.0043499563f, 0.016833257f, 0.4777874f};
  std::vector<float> u(8, 0.0f);
  for (size_t j = 0; j < 4; ++j) u[j] = pre[j] * a;
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(hc_pre_versions(), [&](const Version<HcPre>& version) {
    const Problem::Outputs got = p.outputs(version.run, cpu, 0, 1);
    // 1e-6 is the specification's tolerance, and logits of up to 5 have q's last bit in them.
    EXPECT_TRUE(within(got.u, u, {.rtol = 2e-6}));
    EXPECT_TRUE(within(got.post, post, {.rtol = 2e-6}));
    EXPECT_TRUE(within(got.comb, comb, {.rtol = 2e-6}));
  });
}

TEST(HcPre, agrees_with_the_goldens_of_layers_and_heads) {
  const GoldenFile golden("layers/mhc.safetensors");
  const struct {
    std::string name;
    int64_t iters;
    float hc_eps;
  } cases[] = {{"c0.", 20, 1e-6f}, {"c1.", 1, 1e-6f},  {"c2.", 20, 1e-6f},
               {"c3.", 20, 1e-6f}, {"c4.", 20, 1e-6f}, {"c5.", 8, 1e-3f}};
  CpuDevice cpu({.n_threads = 1});
  for (const auto& c : cases) {
    for (const bool is_head : {false, true}) {
      SCOPED_TRACE(c.name + (is_head ? "head" : "layer"));
      const auto x = golden.f32(c.name + "x");
      const auto& shape = golden.shape(c.name + "x");
      const std::string prefix = c.name + (is_head ? "head_" : "");
      const auto fn = golden.f32(prefix + "fn");
      const auto scale = golden.f32(prefix + "scale");
      const auto base = golden.f32(prefix + "base");
      Problem p{.T = shape[0],
                .n = shape[1],
                .C = shape[2],
                .is_head = is_head,
                .sinkhorn_iters = c.iters,
                .hc_eps = c.hc_eps,
                .x = {x.begin(), x.end()},
                .projected = {},
                .scale = {scale.begin(), scale.end()},
                .base = {base.begin(), base.end()}};
      const auto width = static_cast<size_t>(p.n * p.C);
      for (size_t t = 0; t < static_cast<size_t>(p.T); ++t) {
        for (size_t m = 0; m < static_cast<size_t>(p.M()); ++m) {
          double sum = 0;
          for (size_t i = 0; i < width; ++i) sum += static_cast<double>(fn[m * width + i]) * x[t * width + i];
          p.projected.push_back(static_cast<float>(sum));
        }
      }
      test::for_each_version(hc_pre_versions(), [&](const Version<HcPre>& version) {
        const Problem::Outputs got = p.outputs(version.run, cpu, 0, p.T);
        // Logits go up to 60 in the saturated case, where a float's rounding is 4e-6 of exp.
        constexpr test::Tolerance kTolerance = {.rtol = 1e-5, .atol = 1e-6};
        EXPECT_TRUE(within(got.u, golden.f32(c.name + (is_head ? "head_out" : "collapsed")), kTolerance));
        if (is_head) return;
        EXPECT_TRUE(within(got.post, golden.f32(c.name + "post"), kTolerance));
        EXPECT_TRUE(within(got.comb, golden.f32(c.name + "comb"), kTolerance));
      });
    }
  }
}

RC_GTEST_PROP(HcPre, every_version_agrees_with_the_reference_on_random_shapes, ()) {
  Problem p = random_problem(*rc::gen::inRange<int64_t>(0, 4), *rc::gen::inRange<int64_t>(1, 9),
                             8 * *rc::gen::inRange<int64_t>(1, 20), *rc::gen::arbitrary<bool>(),
                             *rc::gen::inRange<uint64_t>(0, 1u << 31));
  p.sinkhorn_iters = *rc::gen::inRange<int64_t>(1, 25);
  test::for_each_version(hc_pre_versions(), [&](const Version<HcPre>& version) {
    const auto result = agrees(p, version);
    if (!result) RC_FAIL(std::string(result.message()));
  });
}

TEST(HcPre, every_version_agrees_with_the_reference_at_the_shapes_of_v4) {
  for (const Problem& p : {random_problem(5, 4, 4096, false, 1), random_problem(3, 4, 7168, false, 2),
                           random_problem(3, 4, 4096, true, 3)}) {
    test::for_each_version(hc_pre_versions(), [&](const Version<HcPre>& v) { EXPECT_TRUE(agrees(p, v)); });
    test::expect_vector_versions_agree_to_the_bit(hc_pre_versions(), p);
  }
}

TEST(HcPre, a_token_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  test::expect_rows_do_not_depend_on_company(hc_pre_versions(), random_problem(9, 4, 4096, false, 4));
  test::expect_rows_do_not_depend_on_company(hc_pre_versions(), random_problem(5, 3, 4104, false, 5));
}

// V4.1: the streams are read with the mix of the sublayer before, and this one's waits in its place.
TEST(HcPre, a_lagging_mix_is_used_and_replaced) {
  Problem p = random_problem(3, 4, 64, false, 7);
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(hc_pre_versions(), [&](const Version<HcPre>& version) {
    const Problem::Outputs own = p.outputs(version.run, cpu, 0, 3);
    const auto run = [&](std::vector<float>& mix, std::vector<float>& u, bool is_collapse) {
      std::vector<float> post(12), comb(48);
      version.run(cpu, {.x = p.x.data(),
                        .projected = is_collapse ? nullptr : p.projected.data(),
                        .scale = p.scale.data(),
                        .base = p.base.data(),
                        .u = u.data(),
                        .pre_in = mix.data(),
                        .pre_out = is_collapse ? nullptr : mix.data(),
                        .post = is_collapse ? nullptr : post.data(),
                        .comb = is_collapse ? nullptr : comb.data(),
                        .T = 3,
                        .n = 4,
                        .C = 64,
                        .sinkhorn_iters = p.sinkhorn_iters,
                        .norm_eps = p.norm_eps,
                        .hc_eps = p.hc_eps});
      if (is_collapse) return;
      EXPECT_TRUE(test::same_bits(post, own.post));
      EXPECT_TRUE(test::same_bits(comb, own.comb));
    };
    std::vector<float> mix = {0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0};
    std::vector<float> u(3 * 64);
    run(mix, u, false);
    for (size_t t = 0; t < 3; ++t) {
      for (size_t c = 0; c < 64; ++c) EXPECT_EQ(u[t * 64 + c], p.x[(t * 4 + 1) * 64 + c]);
    }
    // What waits now is the mix that the sublayer would have used itself.
    std::vector<float> collapsed(3 * 64);
    run(mix, collapsed, true);
    EXPECT_TRUE(test::same_bits(collapsed, own.u));
  });
}

TEST(HcPre, nan_stays_in_its_token_and_zero_streams_are_fine) {
  Problem p = random_problem(3, 4, 64, false, 6);
  p.x[256 + 70] = std::numeric_limits<float>::quiet_NaN();
  std::fill_n(p.x.begin() + 512, 256, 0.0f);
  std::fill_n(p.projected.begin() + 48, 24, 0.0f);
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(hc_pre_versions(), [&](const Version<HcPre>& version) {
    const Problem::Outputs got = p.outputs(version.run, cpu, 0, 3);
    for (size_t c = 0; c < 64; ++c) {
      EXPECT_TRUE(std::isfinite(got.u[c]));
      EXPECT_TRUE(std::isnan(got.u[64 + c]));
      EXPECT_EQ(got.u[128 + c], 0.0f);
    }
    for (size_t i = 0; i < 16; ++i) {
      EXPECT_TRUE(std::isfinite(got.comb[i]) && std::isnan(got.comb[16 + i]) && std::isfinite(got.comb[32 + i]));
    }
  });
}

}  // namespace
}  // namespace hadal::ops
