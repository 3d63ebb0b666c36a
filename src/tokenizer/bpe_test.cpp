#include "tokenizer/bpe.h"

#include <gtest/gtest.h>

#include "testing/tokenizers.h"

namespace hadal::tokenizer {
namespace {

const BpeTables& tiny_tables() {
  static const json::Value root = std::move(json::parse(testing::tiny_tokenizer_text(), "tokenizer.json")).value();
  static const BpeTables tables = std::move(BpeTables::build(*read_tokenizer_json(root))).value();
  return tables;
}

// The definition in bpe.h, word by word.
std::vector<TokenId> merged_slowly(const BpeTables& tables, std::string_view piece) {
  std::vector<TokenId> ids;
  for (const char c : piece) ids.push_back(tables.byte_token[static_cast<uint8_t>(c)]);
  while (true) {
    MergeTable::Rank lowest = MergeTable::kNoRank;
    size_t at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const MergeTable::Rank rank = tables.merges.rank(ids[i], ids[i + 1]);
      if (rank < lowest) {
        lowest = rank;
        at = i;
      }
    }
    if (lowest == MergeTable::kNoRank) return ids;
    ids[at] = tables.merges.merged(lowest);
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

// Letters in the order of a text, so that many merges apply, or runs of few letters, so that equal pairs overlap.
std::string random_piece(std::mt19937_64& random, size_t length) {
  static const std::string text = testing::source_file("tests/data/v4-tiny/heldout.txt");
  if (random() % 2 == 0) return text.substr(random() % (text.size() - length), length);
  std::string piece;
  while (piece.size() < length) piece += "aees t"[random() % 6];
  return piece;
}

TEST(Bpe, all_ways_of_merging_give_the_ids_of_the_definition) {
  const Bpe bpe(tiny_tables());
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    std::mt19937_64 random(seed);
    const std::string piece = random_piece(random, random() % (Bpe::kShortBytesMax + 1));
    const std::vector<TokenId> want = merged_slowly(tiny_tables(), piece);
    std::vector<TokenId> by_array, by_heap, first, second;
    bpe.merge_short(piece, by_array);
    bpe.merge_long(piece, by_heap);
    bpe.encode(piece, first);
    bpe.encode(piece, second);
    ASSERT_EQ(by_array, want) << "seed " << seed;
    ASSERT_EQ(by_heap, want) << "seed " << seed;
    ASSERT_EQ(first, want) << "seed " << seed;
    ASSERT_EQ(second, want) << "seed " << seed;
  }
}

TEST(Bpe, pieces_around_the_border_between_array_and_heap_agree) {
  const Bpe bpe(tiny_tables());
  for (size_t length = Bpe::kShortBytesMax - 2; length <= Bpe::kShortBytesMax + 2; ++length) {
    std::mt19937_64 random(length);
    const std::string piece = random_piece(random, length);
    std::vector<TokenId> ids;
    bpe.encode(piece, ids);
    EXPECT_EQ(ids, merged_slowly(tiny_tables(), piece)) << length;
  }
}

TEST(Bpe, a_token_that_merging_does_not_give_is_not_looked_up) {
  // "abc" is a token, but a b merges first and ab c is no merge: the answer must stay ab c, also the second time.
  json::Value root = testing::small_tokenizer_json();
  json::Value& vocab = testing::member(testing::member(root, "model"), "vocab");
  json::Value& merges = testing::member(testing::member(root, "model"), "merges");
  root.set("added_tokens", json::Value());
  for (const char* token : {"ab", "bc", "abc"}) {
    vocab.set(token, json::Value::number(static_cast<int64_t>(vocab.members().size())));
  }
  for (const char* merge : {"a b", "b c", "a bc"}) merges.push(json::Value::string(merge));
  const BpeTables tables = std::move(BpeTables::build(*read_tokenizer_json(root))).value();
  const Bpe bpe(tables);
  for (int i = 0; i < 2; ++i) {
    std::vector<TokenId> ids;
    bpe.encode("abc", ids);
    EXPECT_EQ(ids, (std::vector<TokenId>{tables.vocabulary.find("ab"), tables.vocabulary.find("c")}));
  }
}

TEST(Bpe, a_piece_beyond_the_limit_is_cut_there) {
  const Bpe bpe(tiny_tables());
  const std::string piece(kPieceBytesMax + 1, 'a');
  std::vector<TokenId> ids, front;
  bpe.encode(piece, ids);
  bpe.merge_long(piece.substr(1), front);
  front.push_back(tiny_tables().byte_token['a']);
  EXPECT_TRUE(ids == front);
}

}  // namespace
}  // namespace hadal::tokenizer
