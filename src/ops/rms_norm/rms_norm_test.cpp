#include "ops/rms_norm/rms_norm.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <limits>

#include "testing/ops.h"

namespace hadal::ops {
namespace {

using test::random_floats;

struct Problem {
  int64_t T;
  int64_t C;
  bool has_gain;
  std::vector<float> x;  // [T, C]
  std::vector<float> gain;

  Problem(int64_t T_, int64_t C_, bool has_gain_, uint64_t seed)
      : T(T_), C(C_), has_gain(has_gain_), x(random_floats(seed, T_ * C_, 3)), gain(random_floats(seed + 1, C_)) {}

  std::vector<float> run(void (*version)(CpuDevice&, const RmsNorm&), CpuDevice& cpu, int64_t first, int64_t n) const {
    std::vector<float> y(static_cast<size_t>(n * C), -1.0f);
    version(cpu, {.x = x.data() + first * C,
                  .gain = has_gain ? gain.data() : nullptr,
                  .y = y.data(),
                  .T = n,
                  .C = C,
                  .x_stride = C,
                  .y_stride = C,
                  .eps = 1e-6f});
    return y;
  }
};

::testing::AssertionResult agrees(const Problem& problem, const Version<RmsNorm>& version) {
  CpuDevice cpu({.n_threads = 1});
  // 4 ulp: the contract.
  return test::within_ulp(problem.run(version.run, cpu, 0, problem.T),
                          problem.run(rms_norm_reference, cpu, 0, problem.T), 4);
}

TEST(RmsNorm, reference_divides_by_the_root_of_the_mean_square) {
  CpuDevice cpu({.n_threads = 1});
  const std::vector<float> x = {3, 4, 3, 4, -3, -4, 3, 4};  // mean square 12.5
  const std::vector<float> gain = {1, 2, 1, 1, 1, 1, 0, 1};
  std::vector<float> y(8);
  rms_norm_reference(cpu, {.x = x.data(),
                           .gain = gain.data(),
                           .y = y.data(),
                           .T = 1,
                           .C = 8,
                           .x_stride = 8,
                           .y_stride = 8,
                           .eps = 12.5f});  // sqrt(12.5 + 12.5) = 5
  EXPECT_TRUE(test::within_ulp(y, std::vector<float>{0.6f, 1.6f, 0.6f, 0.8f, -0.6f, -0.8f, 0, 0.8f}, 1));
}

RC_GTEST_PROP(RmsNorm, every_version_agrees_with_the_reference_on_random_shapes, ()) {
  const Problem problem(*rc::gen::inRange<int64_t>(0, 5), 8 * *rc::gen::inRange<int64_t>(1, 80),
                        *rc::gen::arbitrary<bool>(), *rc::gen::inRange<uint64_t>(0, 1u << 31));
  test::for_each_version(rms_norm_versions(), [&](const Version<RmsNorm>& version) {
    const auto result = agrees(problem, version);
    if (!result) RC_FAIL(std::string(result.message()));
  });
}

TEST(RmsNorm, every_version_agrees_with_the_reference_at_the_shapes_of_v4) {
  // Hidden rows and query latents of Flash and Pro, and the 64 heads of a token without gain.
  for (const Problem& problem : {Problem(3, 4096, true, 1), Problem(3, 7168, true, 2), Problem(5, 1024, true, 3),
                                 Problem(5, 1536, true, 4), Problem(64, 512, false, 5)}) {
    SCOPED_TRACE(problem.C);
    test::for_each_version(rms_norm_versions(), [&](const Version<RmsNorm>& v) { EXPECT_TRUE(agrees(problem, v)); });
    test::expect_vector_versions_agree_to_the_bit(rms_norm_versions(), problem);
  }
}

TEST(RmsNorm, a_row_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  test::expect_rows_do_not_depend_on_company(rms_norm_versions(), Problem(70, 4096, true, 6));
  test::expect_rows_do_not_depend_on_company(rms_norm_versions(), Problem(33, 520, false, 7));
}

TEST(RmsNorm, rows_may_be_strided_and_normed_in_place) {
  constexpr int64_t kStride = 56;
  const Problem problem(3, 40, true, 8);
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(rms_norm_versions(), [&](const Version<RmsNorm>& version) {
    std::vector<float> x(3 * kStride, 7.0f);
    for (int64_t t = 0; t < 3; ++t) std::copy_n(problem.x.begin() + t * 40, 40, x.begin() + t * kStride);
    version.run(cpu, {.x = x.data(),
                      .gain = problem.gain.data(),
                      .y = x.data(),
                      .T = 3,
                      .C = 40,
                      .x_stride = kStride,
                      .y_stride = kStride,
                      .eps = 1e-6f});
    const std::vector<float> want = problem.run(version.run, cpu, 0, 3);
    for (int64_t t = 0; t < 3; ++t) {
      EXPECT_TRUE(std::equal(want.begin() + t * 40, want.begin() + (t + 1) * 40, x.begin() + t * kStride));
      for (int64_t c = 40; c < kStride; ++c) EXPECT_EQ(x[static_cast<size_t>(t * kStride + c)], 7.0f);  // untouched
    }
  });
}

TEST(RmsNorm, nan_stays_in_its_row_and_zeros_stay_zeros) {
  Problem problem(3, 24, true, 9);
  problem.x[24 + 17] = std::numeric_limits<float>::quiet_NaN();
  std::fill_n(problem.x.begin() + 48, 24, 0.0f);
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(rms_norm_versions(), [&](const Version<RmsNorm>& version) {
    const std::vector<float> y = problem.run(version.run, cpu, 0, 3);
    for (size_t c = 0; c < 24; ++c) {
      EXPECT_TRUE(std::isfinite(y[c]));
      EXPECT_TRUE(std::isnan(y[24 + c]));
      EXPECT_EQ(y[48 + c], 0.0f);
    }
  });
}

}  // namespace
}  // namespace hadal::ops
