#include "sampling/penalties.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "sampling/philox.h"

namespace hadal {
namespace {

constexpr int64_t kVocab = 8;

std::vector<float> apply(const TokenHistory& history, const SamplingOptions& options, std::vector<float> logits) {
  history.apply(options, logits);
  return logits;
}

TEST(Penalties, repetition_divides_positive_logits_and_multiplies_negative_ones) {
  TokenHistory history(kVocab, -1, true);
  history.begin(std::vector<TokenId>{0, 1});
  history.push(2);
  history.push(2);
  const SamplingOptions options{.repetition_penalty = 2};
  EXPECT_EQ(apply(history, options, {3, -3, 8, 4, 0, 0, 0, 0}), (std::vector<float>{1.5f, -6, 4, 4, 0, 0, 0, 0}))
      << "once for each token, however often it occurred, in prompt and answer";
}

TEST(Penalties, presence_and_frequency_look_at_the_answer_alone) {
  TokenHistory history(kVocab, -1, true);
  history.begin(std::vector<TokenId>{0, 0, 0});
  for (const TokenId token : {1, 2, 2, 2}) history.push(token);
  const SamplingOptions options{.presence_penalty = 0.5, .frequency_penalty = 0.25};
  EXPECT_EQ(apply(history, options, {1, 1, 1, 1, 1, 1, 1, 1}), (std::vector<float>{1, 0.25f, -0.25f, 1, 1, 1, 1, 1}));
}

TEST(Penalties, repetition_comes_before_presence) {
  TokenHistory history(kVocab, -1, true);
  history.push(0);
  const SamplingOptions options{.repetition_penalty = 2, .presence_penalty = 1};
  EXPECT_EQ(apply(history, options, {4, 0, 0, 0, 0, 0, 0, 0})[0], 1.0f);
}

TEST(Penalties, a_token_that_left_the_window_is_free_again) {
  TokenHistory history(kVocab, 2, true);
  history.begin(std::vector<TokenId>{0, 1});
  const SamplingOptions options{.repetition_penalty = 2};
  const std::vector<float> ones(kVocab, 1.0f);
  EXPECT_EQ(apply(history, options, ones), (std::vector<float>{0.5f, 0.5f, 1, 1, 1, 1, 1, 1}));
  history.push(3);
  EXPECT_EQ(apply(history, options, ones), (std::vector<float>{1, 0.5f, 1, 0.5f, 1, 1, 1, 1}));
  history.push(3);
  EXPECT_EQ(apply(history, options, ones), (std::vector<float>{1, 1, 1, 0.5f, 1, 1, 1, 1}));
}

TEST(Penalties, a_new_answer_starts_from_its_prompt) {
  TokenHistory history(kVocab, -1, true);
  history.push(5);
  history.begin(std::vector<TokenId>{6});
  const SamplingOptions options{.repetition_penalty = 2, .presence_penalty = 1};
  EXPECT_EQ(apply(history, options, std::vector<float>(kVocab, 1.0f)), (std::vector<float>{1, 1, 1, 1, 1, 1, 0.5f, 1}));
}

TEST(Penalties, counts_kept_step_by_step_are_those_of_the_whole_history) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto window = static_cast<int64_t>(random_bits(seed, 1000) % 7) - 1;
    TokenHistory history(kVocab, window, true);
    const size_t n_prompt = random_bits(seed, 1001) % 10;
    std::vector<TokenId> tokens;
    for (size_t i = 0; i < n_prompt; ++i) tokens.push_back(static_cast<TokenId>(random_bits(seed, i) % kVocab));
    history.begin(tokens);
    for (size_t i = n_prompt; i < 30; ++i) {
      tokens.push_back(static_cast<TokenId>(random_bits(seed, i) % kVocab));
      history.push(tokens.back());
    }
    std::map<TokenId, int> in_window;
    std::map<TokenId, int> in_answer;
    const size_t first = window < 0 ? 0 : tokens.size() - static_cast<size_t>(window);
    for (size_t i = first; i < tokens.size(); ++i) ++in_window[tokens[i]];
    for (size_t i = n_prompt; i < tokens.size(); ++i) ++in_answer[tokens[i]];
    std::vector<float> want(kVocab, 16.0f);
    for (TokenId id = 0; id < kVocab; ++id) {
      float& z = want[static_cast<size_t>(id)];
      if (in_window.contains(id)) z /= 4;
      if (in_answer.contains(id)) z -= 0.5f + 0.25f * static_cast<float>(in_answer[id]);
    }
    const SamplingOptions options{.repetition_penalty = 4, .presence_penalty = 0.5, .frequency_penalty = 0.25};
    ASSERT_EQ(apply(history, options, std::vector<float>(kVocab, 16.0f)), want) << "seed " << seed;
  }
}

}  // namespace
}  // namespace hadal
