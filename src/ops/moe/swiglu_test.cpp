// The activation of the experts alone; moe_test.cpp has the rest.
#include <gtest/gtest.h>

#include <vector>

#include "ops/moe/moe.h"
#include "testing/compare.h"
#include "testing/golden.h"

namespace hadal::ops {
namespace {

TEST(Swiglu, agrees_with_the_goldens_of_every_limit) {
  const test::GoldenFile golden("layers/swiglu.safetensors");
  const auto gate = golden.f32("gate");
  const auto up = golden.f32("up");
  const struct {
    float limit;
    const char* out;
  } cases[] = {{0, "out_limit_0"}, {1.5f, "out_limit_1.5"}, {10, "out_limit_10"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.out);
    std::vector<float> h;
    for (size_t i = 0; i < gate.size(); ++i) h.push_back(swiglu(gate[i], up[i], c.limit));
    // A handful of float roundings; the goldens have 0 for what is below 1e-18 (gate -50: 5e-19).
    EXPECT_TRUE(test::within(h, golden.f32(c.out), {.rtol = 1e-6, .atol = 1e-18}));
  }
}

TEST(Swiglu, clamps_the_gate_from_above_only_and_the_up_branch_on_both_sides) {
  // Worked example 10.5 and trap 16.
  const std::vector<float> got = {swiglu(12, 3, 10), swiglu(-12, 3, 10), swiglu(2, -11, 10), swiglu(10.5f, 10.5f, 10)};
  const std::vector<float> want = {29.998638f, -0.00022119030f, -17.61594f, 99.99546f};
  EXPECT_TRUE(test::within(got, want, {.rtol = 1e-6}));  // the specification's tolerance
}

}  // namespace
}  // namespace hadal::ops
