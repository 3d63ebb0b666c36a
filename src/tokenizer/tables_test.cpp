// The hash tables under BPE: what they hold is found, what was made to collide is refused.
#include <gtest/gtest.h>

#include <random>

#include "tokenizer/merge_table.h"
#include "tokenizer/token_hash.h"
#include "tokenizer/vocabulary.h"

namespace hadal::tokenizer {
namespace {

TEST(Vocabulary, every_searchable_token_is_found_by_its_bytes) {
  std::vector<std::string> tokens;
  std::mt19937_64 random(1);
  for (size_t length = 1; length <= 40; ++length) {
    for (int i = 0; i < 50; ++i) {
      std::string token = std::to_string(tokens.size()) + "|";
      while (token.size() < length) token += static_cast<char>(random());
      tokens.push_back(token);
    }
  }
  std::vector<bool> is_searchable(tokens.size(), true);
  is_searchable[7] = false;
  const Result<Vocabulary> vocabulary = Vocabulary::create(tokens, is_searchable);
  ASSERT_TRUE(vocabulary.ok()) << vocabulary.error().to_string();
  for (size_t id = 0; id < tokens.size(); ++id) {
    EXPECT_EQ(vocabulary->find(tokens[id]), id == 7 ? kNoToken : static_cast<TokenId>(id));
    EXPECT_EQ(vocabulary->find(tokens[id] + "x"), kNoToken);
    EXPECT_EQ(vocabulary->bytes(static_cast<TokenId>(id)), tokens[id]);
  }
  EXPECT_EQ(vocabulary->find(""), kNoToken);
  EXPECT_EQ(vocabulary->longest(), 40u);
}

TEST(Vocabulary, tokens_made_to_collide_are_refused) {
  // 400 tokens make a table of 1,024 slots.
  std::vector<std::string> tokens;
  for (uint64_t i = 0; tokens.size() < 400; ++i) {
    std::string token(reinterpret_cast<const char*>(&i), sizeof i);
    if ((token_hash(token) & 1023) == 5) tokens.push_back(std::move(token));
  }
  const Result<Vocabulary> vocabulary = Vocabulary::create(tokens, std::vector<bool>(tokens.size(), true));
  ASSERT_FALSE(vocabulary.ok());
  EXPECT_EQ(vocabulary.error().code, ErrorCode::kLimit);
  EXPECT_EQ(vocabulary.error().in, "model.vocab");
}

TEST(MergeTable, pairs_are_found_with_their_ranks) {
  constexpr TokenId kLargest = kVocabMax - 1;
  MergeTable merges(4);
  EXPECT_EQ(merges.rank(0, 0), MergeTable::kNoRank);
  EXPECT_TRUE(merges.add(0, 0, 5).ok());
  EXPECT_TRUE(merges.add(kLargest, kLargest, 6).ok());
  EXPECT_TRUE(merges.add(0, kLargest, 7).ok());
  EXPECT_TRUE(merges.add(kLargest, 0, 8).ok());
  EXPECT_EQ(merges.rank(0, 0), 0);
  EXPECT_EQ(merges.rank(kLargest, kLargest), 1);
  EXPECT_EQ(merges.rank(0, kLargest), 2);
  EXPECT_EQ(merges.merged(merges.rank(kLargest, 0)), 8);
  EXPECT_EQ(merges.rank(1, 0), MergeTable::kNoRank);
}

TEST(MergeTable, a_pair_that_is_there_twice_is_refused) {
  MergeTable merges(2);
  EXPECT_TRUE(merges.add(1, 2, 3).ok());
  EXPECT_EQ(merges.add(1, 2, 4).error().code, ErrorCode::kCorrupt);
}

TEST(MergeTable, pairs_made_to_collide_are_refused) {
  // 400 merges make a table of 1,024 slots, whose place is the top 10 bits of this product.
  MergeTable merges(400);
  bool is_refused = false;
  int added = 0;
  for (TokenId right = 0; right < kVocabMax && added < 400 && !is_refused; ++right) {
    if ((static_cast<uint64_t>(right) * 0x9E3779B97F4A7C15u) >> 54 != 9) continue;
    const Result<void> result = merges.add(0, right, 1);
    ++added;
    is_refused = !result.ok() && result.error().code == ErrorCode::kLimit;
  }
  EXPECT_TRUE(is_refused);
}

}  // namespace
}  // namespace hadal::tokenizer
