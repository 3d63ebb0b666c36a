#include "ops/hc_post/hc_post.h"

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

struct Problem {
  int64_t T;
  int64_t n;
  int64_t C;
  std::vector<float> x;     // [T, n, C]
  std::vector<float> u;     // [T, C]
  std::vector<float> post;  // [T, n]
  std::vector<float> comb;  // [T, n, n]

  std::vector<float> run(void (*version)(CpuDevice&, const HcPost&), CpuDevice& cpu, int64_t first,
                         int64_t count) const {
    std::vector<float> streams(x.begin() + first * n * C, x.begin() + (first + count) * n * C);
    version(cpu, {.x = streams.data(),
                  .u = u.data() + first * C,
                  .post = post.data() + first * n,
                  .comb = comb.data() + first * n * n,
                  .T = count,
                  .n = n,
                  .C = C});
    return streams;
  }
};

Problem random_problem(int64_t T, int64_t n, int64_t C, uint64_t seed) {
  return {.T = T,
          .n = n,
          .C = C,
          .x = random_floats(seed, T * n * C),
          .u = random_floats(seed + 1, T * C),
          .post = random_floats(seed + 2, T * n),
          .comb = random_floats(seed + 3, T * n * n)};
}

::testing::AssertionResult agrees(const Problem& p, const Version<HcPost>& version) {
  CpuDevice cpu({.n_threads = 1});
  // n + 1 products of up to about 16 (normal deviates), each rounded to 1e-6 at most, which may cancel.
  return within(p.run(version.run, cpu, 0, p.T), p.run(hc_post_reference, cpu, 0, p.T), {.rtol = 1e-6, .atol = 1e-5});
}

TEST(HcPost, uses_comb_transposed_as_in_the_worked_example) {
  // Worked example 10.3; the untransposed mistake gives 51.9, 103.8 and 207.3, 414.6. Channels 2 to 7 are zero.
  Problem p{.T = 1,
            .n = 2,
            .C = 8,
            .x = std::vector<float>(16, 0.0f),
            .u = std::vector<float>(8, 0.0f),
            .post = {0.5f, 2},
            .comb = {0.9f, 0.1f, 0.3f, 0.7f}};
  p.x[0] = 1;
  p.x[1] = 2;
  p.x[8] = 10;
  p.x[9] = 20;
  p.u[0] = 100;
  p.u[1] = 200;
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(hc_post_versions(), [&](const Version<HcPost>& version) {
    const std::vector<float> y = p.run(version.run, cpu, 0, 1);
    std::vector<float> want(16, 0.0f);
    want[0] = 53.9f;
    want[1] = 107.8f;
    want[8] = 207.1f;
    want[9] = 414.2f;
    EXPECT_TRUE(within(y, want, {.rtol = 1e-6}));
  });
}

TEST(HcPost, agrees_with_the_goldens) {
  const GoldenFile golden("layers/mhc.safetensors");
  CpuDevice cpu({.n_threads = 1});
  for (const std::string name : {"c0.", "c1.", "c2.", "c3.", "c4.", "c5."}) {
    SCOPED_TRACE(name);
    const auto values = [&](const char* tensor) {
      const auto view = golden.f32(name + tensor);
      return std::vector<float>(view.begin(), view.end());
    };
    const auto& shape = golden.shape(name + "x");
    const Problem p{.T = shape[0],
                    .n = shape[1],
                    .C = shape[2],
                    .x = values("x"),
                    .u = values("sublayer_out"),
                    .post = values("post"),
                    .comb = values("comb")};
    test::for_each_version(hc_post_versions(), [&](const Version<HcPost>& version) {
      // Sums of five products of values of up to about 5, in float.
      EXPECT_TRUE(within(p.run(version.run, cpu, 0, p.T), golden.f32(name + "expanded"), {.rtol = 1e-6, .atol = 2e-6}));
    });
  }
}

RC_GTEST_PROP(HcPost, every_version_agrees_with_the_reference_on_random_shapes, ()) {
  const Problem p = random_problem(*rc::gen::inRange<int64_t>(0, 4), *rc::gen::inRange<int64_t>(1, 9),
                                   8 * *rc::gen::inRange<int64_t>(1, 20), *rc::gen::inRange<uint64_t>(0, 1u << 31));
  test::for_each_version(hc_post_versions(), [&](const Version<HcPost>& version) {
    const auto result = agrees(p, version);
    if (!result) RC_FAIL(std::string(result.message()));
  });
}

TEST(HcPost, every_version_agrees_with_the_reference_at_the_shapes_of_v4) {
  for (const Problem& p : {random_problem(3, 4, 4096, 1), random_problem(2, 4, 7168, 2)}) {
    test::for_each_version(hc_post_versions(), [&](const Version<HcPost>& v) { EXPECT_TRUE(agrees(p, v)); });
    test::expect_vector_versions_agree_to_the_bit(hc_post_versions(), p);
  }
}

TEST(HcPost, a_token_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  test::expect_rows_do_not_depend_on_company(hc_post_versions(), random_problem(9, 4, 4096, 3));
  test::expect_rows_do_not_depend_on_company(hc_post_versions(), random_problem(7, 5, 4104, 4));
}

TEST(HcPost, nan_stays_in_its_column_and_zeros_give_zeros) {
  Problem p = random_problem(2, 4, 24, 5);
  p.u[17] = std::numeric_limits<float>::quiet_NaN();
  std::fill_n(p.x.begin() + 96, 96, 0.0f);
  std::fill_n(p.u.begin() + 24, 24, 0.0f);
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(hc_post_versions(), [&](const Version<HcPost>& version) {
    const std::vector<float> y = p.run(version.run, cpu, 0, 2);
    for (size_t i = 0; i < 96; ++i) {
      EXPECT_EQ(std::isnan(y[i]), i % 24 == 17);
      EXPECT_EQ(y[96 + i], 0.0f);
    }
  });
}

}  // namespace
}  // namespace hadal::ops
