#include "sampling/truncation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "sampling/philox.h"
#include "sampling/weights.h"

namespace hadal {
namespace {

// RankedLogit or Candidate.
template <class Ranked>
std::vector<TokenId> ids_of(const std::vector<Ranked>& ranked) {
  std::vector<TokenId> ids;
  for (const Ranked& r : ranked) ids.push_back(r.id);
  return ids;
}

// The definitions, by sorting everything.
std::vector<TokenId> top_k_by_sorting(const std::vector<float>& logits, size_t k) {
  std::vector<RankedLogit> all;
  for (size_t i = 0; i < logits.size(); ++i) all.push_back({logits[i], static_cast<TokenId>(i)});
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return ranks_before(a, b); });
  all.resize(std::min(k, all.size()));
  std::vector<TokenId> ids = ids_of(all);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<TokenId> nucleus_by_sorting(std::vector<Candidate> all, uint64_t need) {
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return ranks_before(a, b); });
  std::vector<TokenId> ids;
  uint64_t reached = 0;
  for (const Candidate& candidate : all) {
    if (reached >= need) break;
    reached += candidate.weight;
    ids.push_back(candidate.id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<TokenId> nucleus(std::vector<Candidate> candidates, uint64_t need) {
  std::vector<Candidate> work;
  keep_nucleus(candidates, need, work);
  return ids_of(candidates);
}

TEST(Truncation, top_k_is_what_sorting_would_give_with_many_ties) {
  std::vector<RankedLogit> best;
  std::vector<RankedLogit> work;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const size_t n = 1 + random_bits(seed, 1000000) % 3000;
    const uint64_t levels = 1 + random_bits(seed, 1000001) % 50;
    std::vector<float> logits(n);
    for (size_t i = 0; i < n; ++i) logits[i] = static_cast<float>(random_bits(seed, i) % levels) - 20.0f;
    for (const size_t k : {size_t{1}, size_t{2}, size_t{40}, n / 2 + 1, n, n + 5}) {
      select_top_k(logits, static_cast<int64_t>(k), best, work);
      ASSERT_EQ(ids_of(best), top_k_by_sorting(logits, k)) << "seed " << seed << " k " << k;
    }
  }
}

TEST(Truncation, top_k_holds_for_ascending_logits_where_each_token_is_a_new_best) {
  std::vector<float> logits(5000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i);
  std::vector<RankedLogit> best;
  std::vector<RankedLogit> work;
  select_top_k(logits, 3, best, work);
  EXPECT_EQ(ids_of(best), (std::vector<TokenId>{4997, 4998, 4999}));
}

TEST(Truncation, top_k_never_keeps_a_forbidden_token) {
  const float never = -std::numeric_limits<float>::infinity();
  std::vector<RankedLogit> best;
  std::vector<RankedLogit> work;
  select_top_k(std::vector<float>{never, 1.0f, never, 0.0f}, 3, best, work);
  EXPECT_EQ(ids_of(best), (std::vector<TokenId>{1, 3}));
}

TEST(Truncation, nucleus_is_the_shortest_prefix_that_reaches_its_share) {
  const std::vector<Candidate> candidates = {{10, 0}, {50, 1}, {30, 2}, {10, 3}};
  EXPECT_EQ(nucleus(candidates, 1), (std::vector<TokenId>{1}));
  EXPECT_EQ(nucleus(candidates, 50), (std::vector<TokenId>{1}));
  EXPECT_EQ(nucleus(candidates, 51), (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(nucleus(candidates, 81), (std::vector<TokenId>{0, 1, 2})) << "of two equals the lower id comes first";
  EXPECT_EQ(nucleus(candidates, 91), (std::vector<TokenId>{0, 1, 2, 3}));
  EXPECT_EQ(nucleus(candidates, 1000), (std::vector<TokenId>{0, 1, 2, 3}));
}

TEST(Truncation, nucleus_is_what_sorting_would_give) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const size_t n = 1 + random_bits(seed, 1000000) % 500;
    const uint64_t levels = 1 + random_bits(seed, 1000001) % 100;
    std::vector<Candidate> candidates;
    uint64_t total = 0;
    for (size_t i = 0; i < n; ++i) {
      candidates.push_back({1 + random_bits(seed, i) % levels, static_cast<TokenId>(i)});
      total += candidates.back().weight;
    }
    const uint64_t need = 1 + random_bits(seed, 1000002) % total;
    ASSERT_EQ(nucleus(candidates, need), nucleus_by_sorting(candidates, need)) << "seed " << seed;
  }
}

TEST(Truncation, shares_are_rounded_up_and_never_empty) {
  EXPECT_EQ(share_of(100, 0.0), 1u);
  EXPECT_EQ(share_of(100, 0.5), 50u);
  EXPECT_EQ(share_of(101, 0.5), 51u);
  EXPECT_EQ(share_of(100, 1.0), 100u);
  // More bits than a double holds.
  EXPECT_EQ(share_of((uint64_t{1} << 60) + 1, 1.0), (uint64_t{1} << 60) + 1);
}

TEST(Truncation, min_p_is_relative_to_the_best_token) {
  EXPECT_EQ(least_weight(0.0), 1u);
  EXPECT_EQ(least_weight(0.25), kWeightOne / 4);
  EXPECT_EQ(least_weight(1.0), kWeightOne);
}

}  // namespace
}  // namespace hadal
