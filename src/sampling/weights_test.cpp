#include "sampling/weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "sampling/philox.h"

namespace hadal {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(size_t n, uint64_t seed, double width) {
  std::vector<float> logits(n);
  for (size_t i = 0; i < n; ++i) {
    logits[i] = static_cast<float>((static_cast<double>(random_bits(seed, i)) * 0x1p-64 - 0.5) * width);
  }
  return logits;
}

TEST(Weights, agree_with_the_exponential_of_the_c_library) {
  for (const double temperature : {0.1, 0.7, 1.0, 2.0}) {
    const std::vector<float> logits = random_logits(10007, 1, 40);
    const float max = check_and_max(logits).value();
    std::vector<uint64_t> weights(logits.size());
    weigh(logits, max, temperature, weights);
    for (size_t i = 0; i < logits.size(); ++i) {
      const double want = std::exp((double{logits[i]} - max) / temperature) * 0x1p40;
      // 2^-36 of the series, and half a unit of rounding.
      ASSERT_NEAR(static_cast<double>(weights[i]), want, want * 0x1p-36 + 0.5) << "index " << i;
    }
  }
}

TEST(Weights, of_the_best_token_is_one_and_of_a_forbidden_token_zero) {
  const std::vector<float> logits = {-kInfinity, 3.5f, -200.0f, 3.5f, std::numeric_limits<float>::lowest()};
  std::vector<uint64_t> weights(logits.size());
  for (const double temperature : {1e-5, 1.0, 2.0}) {
    weigh(logits, 3.5f, temperature, weights);
    EXPECT_EQ(weights, (std::vector<uint64_t>{0, kWeightOne, 0, kWeightOne, 0})) << temperature;
  }
}

// The same everywhere: these sums were computed once and hold for every compiler, vector width and C library.
TEST(Weights, are_the_same_bits_on_every_machine) {
  const std::vector<float> logits = random_logits(129280, 7, 30);
  std::vector<uint64_t> weights(logits.size());
  weigh(logits, check_and_max(logits).value(), 0.8, weights);
  uint64_t mixed = 0;
  for (const uint64_t weight : weights) mixed = mixed * 31 + weight;
  EXPECT_EQ(sum(weights), 3767614426719990u);
  EXPECT_EQ(mixed, 3012841342750591334u);
}

TEST(Weights, a_logit_that_is_no_number_is_named_wherever_it_stands) {
  for (size_t at = 0; at < 40; ++at) {
    std::vector<float> logits(40, 1.0f);
    logits[at] = std::numeric_limits<float>::quiet_NaN();
    const Result<float> nan = check_and_max(logits);
    ASSERT_FALSE(nan.ok());
    EXPECT_EQ(nan.error().what, "logit is not a number");
    EXPECT_EQ(nan.error().in, "logits, token " + std::to_string(at));
    EXPECT_EQ(nan.error().found, "nan");
    logits[at] = kInfinity;
    const Result<float> infinite = check_and_max(logits);
    ASSERT_FALSE(infinite.ok());
    EXPECT_EQ(infinite.error().found, "infinity");
  }
}

TEST(Weights, nothing_to_choose_from_is_an_error) {
  const Result<float> none = check_and_max(std::vector<float>(33, -kInfinity));
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().what, "no token is allowed");
  EXPECT_EQ(none.error().found, "33 of -infinity");
}

TEST(Weights, the_maximum_is_found_wherever_it_stands) {
  for (size_t n = 1; n < 70; ++n) {
    for (size_t at = 0; at < n; ++at) {
      std::vector<float> logits(n, -5.0f);
      logits[at] = -1.0f;
      ASSERT_EQ(check_and_max(logits).value(), -1.0f);
      ASSERT_EQ(first_equal(logits, -1.0f), static_cast<TokenId>(at));
    }
  }
}

TEST(Weights, scaled_bits_cover_zero_up_to_the_total) {
  EXPECT_EQ(scale_to(0, 10), 0u);
  EXPECT_EQ(scale_to(~uint64_t{0}, 10), 9u);
  EXPECT_EQ(scale_to(uint64_t{1} << 63, 10), 5u);
  EXPECT_EQ(scale_to(~uint64_t{0}, uint64_t{1} << 62), (uint64_t{1} << 62) - 1);
}

}  // namespace
}  // namespace hadal
