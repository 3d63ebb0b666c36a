#include "ops/layer_norm/layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "testing/ops.h"

namespace hadal::ops {
namespace {

using test::random_floats;

struct Problem {
  int64_t T;
  int64_t C;
  std::vector<float> x, gain, bias;

  Problem(int64_t n_rows, int64_t width, uint64_t seed)
      : T(n_rows),
        C(width),
        x(random_floats(seed, n_rows * width, 3)),
        gain(random_floats(seed + 1, width)),
        bias(random_floats(seed + 2, width)) {
    for (float& v : x) v += 5;
  }

  std::vector<float> run(void (*version)(CpuDevice&, const LayerNorm&), CpuDevice& cpu, int64_t first,
                         int64_t n) const {
    std::vector<float> y(x.begin() + first * C, x.begin() + (first + n) * C);
    version(cpu, {.x = y.data(), .gain = gain.data(), .bias = bias.data(), .T = n, .C = C, .eps = 1e-6f});
    return y;
  }
};

TEST(LayerNorm, reference_subtracts_the_mean_and_divides_by_the_deviation) {
  // Mean 2, deviation 1 (all but eps).
  std::vector<float> x(16);
  for (size_t c = 0; c < 16; ++c) x[c] = c % 2 == 0 ? 1.0f : 3.0f;
  std::vector<float> gain(16, 2.0f);
  std::vector<float> bias(16, 0.5f);
  gain[3] = -1;
  CpuDevice cpu({.n_threads = 1});
  layer_norm_reference(cpu, {.x = x.data(), .gain = gain.data(), .bias = bias.data(), .T = 1, .C = 16, .eps = 1e-30f});
  EXPECT_FLOAT_EQ(x[0], -1.5f);
  EXPECT_FLOAT_EQ(x[1], 2.5f);
  EXPECT_FLOAT_EQ(x[3], -0.5f);
}

TEST(LayerNorm, every_version_agrees_with_the_reference) {
  for (const Problem& p : {Problem(3, 128, 1), Problem(7, 16, 2), Problem(2, 496, 3), Problem(0, 32, 4)}) {
    CpuDevice cpu({.n_threads = 1});
    const std::vector<float> want = p.run(layer_norm_reference, cpu, 0, p.T);
    test::for_each_version(layer_norm_versions(), [&](const Version<LayerNorm>& version) {
      // The contract; (x - mean) / deviation is at most about 4 here, gain and bias about 3.
      EXPECT_TRUE(test::within(p.run(version.run, cpu, 0, p.T), want, {.rtol = 1e-6, .atol = 15e-6}));
    });
    test::expect_vector_versions_agree_to_the_bit(layer_norm_versions(), p);
  }
}

TEST(LayerNorm, a_row_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  test::expect_rows_do_not_depend_on_company(layer_norm_versions(), Problem(300, 128, 5));
}

TEST(LayerNorm, nan_stays_in_its_row_and_equal_numbers_become_the_bias) {
  Problem p(3, 32, 6);
  p.x[32 + 7] = std::numeric_limits<float>::quiet_NaN();
  std::fill_n(p.x.begin() + 64, 32, 4.0f);
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(layer_norm_versions(), [&](const Version<LayerNorm>& version) {
    const std::vector<float> y = p.run(version.run, cpu, 0, 3);
    for (size_t c = 0; c < 32; ++c) {
      EXPECT_TRUE(std::isfinite(y[c]));
      EXPECT_TRUE(std::isnan(y[32 + c]));
      EXPECT_EQ(y[64 + c], p.bias[c]);
    }
  });
}

}  // namespace
}  // namespace hadal::ops
