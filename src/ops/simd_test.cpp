// The vector functions behind the kernels against double, over every 251st float of their range.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/simd_probe.h"
#include "testing/ops.h"

namespace hadal::ops {
namespace {

using Function = void (*)(const float* x, float* y, int64_t n);

std::vector<SimdProbe> probes() {
  std::vector<SimdProbe> probes;
#if defined(__x86_64__)
  if (detected_cpu_level() >= CpuLevel::kAvx2) probes.push_back(simd_probe_avx2());
  if (detected_cpu_level() >= CpuLevel::kAvx512) probes.push_back(simd_probe_avx512());
#endif
  return probes;
}

// Floats from `from` away from zero to `to` (same sign), by bit pattern; a multiple of 16 of them, ends included.
std::vector<float> floats_between(float from, float to, uint32_t step = 251) {
  std::vector<float> values;
  const auto last = std::bit_cast<uint32_t>(to);
  for (uint32_t bits = std::bit_cast<uint32_t>(from); bits <= last; bits += step) {
    values.push_back(std::bit_cast<float>(bits));
  }
  do values.push_back(to);
  while (values.size() % 16 != 0);
  return values;
}

// The largest distance of f(x) from exact(x), in units of the last place of the exact value.
template <class Exact>
double worst_ulp(Function f, const std::vector<float>& x, const Exact& exact) {
  std::vector<float> y(x.size());
  f(x.data(), y.data(), static_cast<int64_t>(x.size()));
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = exact(static_cast<double>(x[i]));
    const double ulp = std::ldexp(1.0, std::max(std::ilogb(want), -126) - 23);
    worst = std::max(worst, std::abs(static_cast<double>(y[i]) - want) / ulp);
  }
  return worst;
}

float at(Function f, float x) {
  const std::vector<float> in(16, x);
  std::vector<float> out(16);
  f(in.data(), out.data(), 16);
  return out[7];
}

TEST(Simd, exp_nonpositive_is_within_2_ulp) {
  const std::vector<float> x = floats_between(-0.0f, -87.3f);
  for (const SimdProbe& probe : probes()) {
    SCOPED_TRACE(cpu_level_name(probe.level));
    EXPECT_LE(worst_ulp(probe.exp_nonpositive, x, [](double v) { return std::exp(v); }), 2.0);
    EXPECT_EQ(at(probe.exp_nonpositive, 0.0f), 1.0f);
    EXPECT_EQ(at(probe.exp_nonpositive, std::nextafter(-87.3f, -100.0f)), 0.0f);
    EXPECT_EQ(at(probe.exp_nonpositive, -std::numeric_limits<float>::infinity()), 0.0f);
    EXPECT_TRUE(std::isnan(at(probe.exp_nonpositive, std::numeric_limits<float>::quiet_NaN())));
  }
}

TEST(Simd, sigmoid_is_within_3_ulp) {
  const auto exact = [](double v) { return 1 / (1 + std::exp(-v)); };
  for (const SimdProbe& probe : probes()) {
    SCOPED_TRACE(cpu_level_name(probe.level));
    EXPECT_LE(worst_ulp(probe.sigmoid, floats_between(-0.0f, -87.3f), exact), 3.0);
    EXPECT_LE(worst_ulp(probe.sigmoid, floats_between(0.0f, 200.0f), exact), 3.0);
    EXPECT_EQ(at(probe.sigmoid, -88.0f), 0.0f);
    EXPECT_EQ(at(probe.sigmoid, std::numeric_limits<float>::infinity()), 1.0f);
    EXPECT_TRUE(std::isnan(at(probe.sigmoid, std::numeric_limits<float>::quiet_NaN())));
  }
}

TEST(Simd, log1p_is_within_3_ulp_between_0_and_1) {
  // From the smallest normal number, the smallest result of exp_nonpositive.
  const std::vector<float> x = floats_between(std::numeric_limits<float>::min(), 1.0f);
  for (const SimdProbe& probe : probes()) {
    SCOPED_TRACE(cpu_level_name(probe.level));
    EXPECT_LE(worst_ulp(probe.log1p_unit, x, [](double v) { return std::log1p(v); }), 3.0);
    EXPECT_EQ(at(probe.log1p_unit, 0.0f), 0.0f);
  }
}

TEST(Simd, softplus_is_within_4_ulp) {
  const auto exact = [](double v) { return std::max(v, 0.0) + std::log1p(std::exp(-std::abs(v))); };
  for (const SimdProbe& probe : probes()) {
    SCOPED_TRACE(cpu_level_name(probe.level));
    EXPECT_LE(worst_ulp(probe.softplus, floats_between(-0.0f, -87.0f), exact), 4.0);
    EXPECT_LE(worst_ulp(probe.softplus, floats_between(0.0f, 1000.0f), exact), 4.0);
    EXPECT_EQ(at(probe.softplus, 25.0f), 25.0f);
    EXPECT_TRUE(std::isnan(at(probe.softplus, std::numeric_limits<float>::quiet_NaN())));
  }
}

TEST(Simd, both_instruction_sets_give_the_same_bits) {
  const std::vector<SimdProbe> all = probes();
  if (all.size() < 2) GTEST_SKIP() << "this machine has one vector instruction set";
  const std::vector<float> negative = floats_between(-0.0f, -200.0f, 1009);
  const std::vector<float> positive = floats_between(0.0f, 200.0f, 1009);
  const std::vector<float> unit = floats_between(0.0f, 1.0f, 1009);
  const auto expect_same = [](Function a, Function b, const std::vector<float>& x) {
    std::vector<float> of_a(x.size());
    std::vector<float> of_b(x.size());
    a(x.data(), of_a.data(), static_cast<int64_t>(x.size()));
    b(x.data(), of_b.data(), static_cast<int64_t>(x.size()));
    EXPECT_TRUE(test::same_bits(of_a, of_b));
  };
  expect_same(all[0].exp_nonpositive, all[1].exp_nonpositive, negative);
  expect_same(all[0].sigmoid, all[1].sigmoid, negative);
  expect_same(all[0].sigmoid, all[1].sigmoid, positive);
  expect_same(all[0].log1p_unit, all[1].log1p_unit, unit);
  expect_same(all[0].softplus, all[1].softplus, negative);
  expect_same(all[0].softplus, all[1].softplus, positive);
}

}  // namespace
}  // namespace hadal::ops
