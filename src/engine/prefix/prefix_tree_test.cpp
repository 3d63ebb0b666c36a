#include "engine/prefix/prefix_tree.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>

namespace hadal {
namespace {

constexpr int64_t kPage = 128;
constexpr PrefixTreeOptions kRoomy{
    .budget_bytes = 1 << 30, .page_tokens = kPage, .page_bytes = 10, .checkpoint_bytes = 7};

PrefixHandle handle(int n) {
  return std::make_shared<int>(n);
}

// n tokens that count up from `first`.
std::vector<int32_t> counting(int64_t n, int32_t first = 0) {
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

void store(PrefixTree& tree, std::string_view scope, const std::vector<int32_t>& tokens,
           const std::vector<int64_t>& checkpoint_lengths, double now_s = 0) {
  std::vector<PrefixHandle> pages;
  for (size_t i = 0; i < tokens.size() / kPage; ++i) pages.push_back(handle(static_cast<int>(i)));
  std::vector<PrefixTree::Kept> checkpoints;
  for (const int64_t length : checkpoint_lengths) {
    checkpoints.push_back({.length = length, .handle = handle(static_cast<int>(length))});
  }
  tree.insert(scope, tokens, pages, checkpoints, now_s);
}

TEST(PrefixTree, EmptyScopeMatchesNothing) {
  const PrefixTree tree(kRoomy);
  const PrefixMatch match = tree.find("a", counting(300));
  EXPECT_EQ(match.reused, 0);
  EXPECT_EQ(match.end, PrefixEnd::kNothingStored);
}

TEST(PrefixTree, ReusesTheHighestCheckpointBelowTheDivergence) {
  PrefixTree tree(kRoomy);
  store(tree, "a", counting(1000), {128, 512, 896});
  std::vector<int32_t> prompt = counting(1000);
  prompt[700] = -5;
  const PrefixMatch match = tree.find("a", prompt);
  EXPECT_EQ(match.matched, 700);
  EXPECT_EQ(match.reused, 512);
  EXPECT_EQ(match.pages.size(), 4u);
  EXPECT_EQ(match.end, PrefixEnd::kTokenDiffers);
  EXPECT_EQ(match.stored_token, 700);
  ASSERT_NE(match.checkpoint, nullptr);
  EXPECT_EQ(*std::static_pointer_cast<const int>(match.checkpoint), 512);
}

TEST(PrefixTree, OneTokenOfThePromptIsAlwaysComputed) {
  PrefixTree tree(kRoomy);
  store(tree, "a", counting(512), {256, 512});
  EXPECT_EQ(tree.find("a", counting(512)).reused, 256);
  EXPECT_EQ(tree.find("a", counting(513)).reused, 512);
  EXPECT_EQ(tree.find("a", counting(512)).end, PrefixEnd::kPromptEnds);
  EXPECT_EQ(tree.find("a", counting(513)).end, PrefixEnd::kStoredEnds);
}

TEST(PrefixTree, ScopesDoNotSeeEachOther) {
  PrefixTree tree(kRoomy);
  store(tree, "a", counting(512), {512});
  EXPECT_EQ(tree.find("b", counting(600)).matched, 0);
  tree.clear("a");
  EXPECT_EQ(tree.bytes(), 0u);
}

TEST(PrefixTree, SharedPagesAreStoredOnce) {
  PrefixTree tree(kRoomy);
  std::vector<int32_t> a = counting(512), b = counting(512);
  b[300] = -1;
  store(tree, "s", a, {512});
  store(tree, "s", b, {256, 512});
  EXPECT_EQ(tree.stats("s").tokens, 512 + 256);
  EXPECT_EQ(tree.stats("s").checkpoints, 3);
  EXPECT_EQ(tree.bytes(), 6 * 10u + 3 * 7u);
  tree.check_invariants();
}

TEST(PrefixTree, WithoutCheckpointBytesEveryPageIsAStart) {
  PrefixTree tree({.budget_bytes = 1000, .page_tokens = kPage, .page_bytes = 10, .checkpoint_bytes = 0});
  store(tree, "s", counting(512), {});
  EXPECT_EQ(tree.find("s", counting(400)).reused, 384);
  EXPECT_EQ(tree.find("s", counting(384)).reused, 256);
}

TEST(PrefixTree, EvictionThinsALongPromptAndKeepsItsEnd) {
  PrefixTree tree({.budget_bytes = 1 << 30, .page_tokens = kPage, .page_bytes = 1, .checkpoint_bytes = 100});
  std::vector<int64_t> lengths;
  for (int64_t n = kPage; n <= 64 * kPage; n += kPage) lengths.push_back(n);
  store(tree, "s", counting(64 * kPage), lengths);
  tree.evict(64 + 16 * 100, 0);
  tree.check_invariants();
  EXPECT_LE(tree.bytes(), 64u + 16 * 100);
  // What is left is spread: no gap is wider than a third of the prompt.
  int64_t last = 0;
  for (int64_t n = 2; n <= 64; ++n) {
    const int64_t reused = tree.find("s", counting(n * kPage + 1)).reused;
    EXPECT_LE(n * kPage - reused, 64 * kPage / 3) << n;
    last = reused;
  }
  EXPECT_GT(last, 32 * kPage);
}

TEST(PrefixTree, WhatWasHitOutlivesWhatWasNot) {
  PrefixTree tree({.budget_bytes = 1 << 30, .page_tokens = kPage, .page_bytes = 10, .checkpoint_bytes = 100});
  for (int32_t i = 0; i < 10; ++i) store(tree, "s", counting(256, 1000 * i), {256}, i);
  for (int n = 0; n < 3; ++n) tree.hit("s", counting(300, 4000), 20);
  tree.evict(130, 21);
  EXPECT_EQ(tree.find("s", counting(300, 4000)).reused, 256);
  EXPECT_EQ(tree.find("s", counting(300, 5000)).reused, 0);
}

TEST(PrefixTree, WhatIsInUseStays) {
  PrefixTree tree({.budget_bytes = 1 << 30, .page_tokens = kPage, .page_bytes = 10, .checkpoint_bytes = 100});
  store(tree, "s", counting(256), {256});
  store(tree, "s", counting(256, 5000), {256});
  const PrefixMatch running = tree.find("s", counting(300));
  tree.evict(0, 1);
  EXPECT_EQ(tree.find("s", counting(300)).reused, 256);
  EXPECT_EQ(tree.find("s", counting(300, 5000)).reused, 0);
  tree.check_invariants();
}

TEST(PrefixTree, AMillionTokensAreNoDeepRecursion) {
  PrefixTree tree(kRoomy);
  store(tree, "s", counting(1 << 20), {1 << 20});
  EXPECT_EQ(tree.find("s", counting((1 << 20) + 1)).reused, 1 << 20);
  tree.clear();
  EXPECT_EQ(tree.bytes(), 0u);
}

// Against a list of everything that was ever stored, with prompts of few tokens so that they share a lot.
RC_GTEST_PROP(PrefixTree, MatchesTheObviousSearch, ()) {
  struct Stored {
    std::vector<int32_t> tokens;
    std::vector<int64_t> checkpoints;
  };
  std::vector<Stored> all;
  PrefixTree tree(kRoomy);
  const auto any_tokens = [&] {
    // Blocks of 64 equal tokens: they part inside pages and at their borders.
    std::vector<int32_t> tokens;
    const int blocks = *rc::gen::inRange(0, 12);
    for (int b = 0; b < blocks; ++b) tokens.insert(tokens.end(), 64, *rc::gen::inRange<int32_t>(0, 2));
    tokens.resize(tokens.size() + *rc::gen::inRange<size_t>(0, 3), 7);
    return tokens;
  };
  const int rounds = *rc::gen::inRange(1, 8);
  for (int round = 0; round < rounds; ++round) {
    Stored stored{.tokens = any_tokens(), .checkpoints = {}};
    for (int64_t n = kPage; n <= static_cast<int64_t>(stored.tokens.size()); n += kPage) {
      if (*rc::gen::arbitrary<bool>()) stored.checkpoints.push_back(n);
    }
    store(tree, "s", stored.tokens, stored.checkpoints, round);
    all.push_back(std::move(stored));
    tree.check_invariants();

    const std::vector<int32_t> prompt = any_tokens();
    int64_t want_matched = 0, want_reused = 0;
    for (const Stored& s : all) {
      const size_t whole = s.tokens.size() / kPage * kPage;
      const size_t most = std::min(prompt.size(), whole);
      const auto differ =
          std::mismatch(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(most), s.tokens.begin());
      const int64_t matched = differ.first - prompt.begin();
      want_matched = std::max(want_matched, matched);
      for (const int64_t n : s.checkpoints) {
        if (n <= matched && n < static_cast<int64_t>(prompt.size())) want_reused = std::max(want_reused, n);
      }
    }
    const PrefixMatch match = tree.hit("s", prompt, round);
    RC_ASSERT(match.matched == want_matched);
    RC_ASSERT(match.reused == want_reused);
    RC_ASSERT(static_cast<int64_t>(match.pages.size()) * kPage == want_reused);
  }
  const uint64_t target = *rc::gen::inRange<uint64_t>(0, tree.bytes() + 1);
  tree.evict(target, rounds);
  tree.check_invariants();
  RC_ASSERT(tree.bytes() <= target);
}

}  // namespace
}  // namespace hadal
