#include "sampling/options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace hadal {
namespace {

constexpr int64_t kVocab = 100;

TEST(SamplingOptions, defaults_and_the_ends_of_each_range_pass) {
  EXPECT_TRUE(check({}, kVocab).ok());
  SamplingOptions low{.temperature = 0,
                      .top_p = 0,
                      .min_p = 0,
                      .repetition_penalty = 0.01,
                      .repetition_window = -1,
                      .presence_penalty = -2,
                      .frequency_penalty = -2,
                      .logit_bias = {{0, -100.0f}},
                      .logprobs = 0};
  EXPECT_TRUE(check(low, kVocab).ok());
  SamplingOptions high{.temperature = 2,
                       .top_k = 1 << 30,
                       .top_p = 1,
                       .min_p = 1,
                       .repetition_penalty = 10,
                       .presence_penalty = 2,
                       .frequency_penalty = 2,
                       .logit_bias = {{99, 100.0f}},
                       .logprobs = 20};
  EXPECT_TRUE(check(high, kVocab).ok());
}

struct BadOption {
  std::string in;
  std::string want;
  std::string found;
  std::function<void(SamplingOptions&)> set;
};

TEST(SamplingOptions, each_option_out_of_range_is_named_with_its_range_and_value) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<BadOption> bad_options = {
      {"temperature", "0 to 2", "2.5", [](auto& o) { o.temperature = 2.5; }},
      {"temperature", "0 to 2", "-1", [](auto& o) { o.temperature = -1; }},
      {"temperature", "0 to 2", "nan", [nan](auto& o) { o.temperature = nan; }},
      {"top_k", "0 to 2147483647", "-1", [](auto& o) { o.top_k = -1; }},
      {"top_p", "0 to 1", "1.5", [](auto& o) { o.top_p = 1.5; }},
      {"min_p", "0 to 1", "-0.5", [](auto& o) { o.min_p = -0.5; }},
      {"repetition_penalty", "0.01 to 10", "0", [](auto& o) { o.repetition_penalty = 0; }},
      {"repetition_window", "-1 to 2147483647", "-2", [](auto& o) { o.repetition_window = -2; }},
      {"presence_penalty", "-2 to 2", "3", [](auto& o) { o.presence_penalty = 3; }},
      {"frequency_penalty", "-2 to 2", "inf", [](auto& o) { o.frequency_penalty = HUGE_VAL; }},
      {"logprobs", "0 to 20", "21", [](auto& o) { o.logprobs = 21; }},
      {"logit_bias", "token ids 0 to 99", "100", [](auto& o) { o.logit_bias[100] = 1; }},
      {"logit_bias", "token ids 0 to 99", "-3", [](auto& o) { o.logit_bias[-3] = 1; }},
      {"logit_bias[7]", "-100 to 100", "101", [](auto& o) { o.logit_bias[7] = 101; }},
  };
  for (const BadOption& bad : bad_options) {
    SamplingOptions options;
    bad.set(options);
    const Result<void> result = check(options, kVocab);
    ASSERT_FALSE(result.ok()) << bad.in << " " << bad.found;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(result.error().in, bad.in);
    EXPECT_EQ(result.error().want, bad.want);
    EXPECT_EQ(result.error().found, bad.found);
  }
}

TEST(SamplingOptions, more_biases_than_the_limit_are_refused) {
  SamplingOptions options;
  for (TokenId id = 0; id <= static_cast<TokenId>(kLogitBiasEntriesMax); ++id) options.logit_bias[id] = 1;
  const Result<void> result = check(options, 129280);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kLimit);
  EXPECT_EQ(result.error().found, "8193");
}

}  // namespace
}  // namespace hadal
