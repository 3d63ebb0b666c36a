#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/utf8.h"
#include "testing/tokenizers.h"

namespace hadal {
namespace {

using tokenizer::testing::random_text;
using tokenizer::testing::small_tokenizer_json;
using tokenizer::testing::source_file;
using tokenizer::testing::tiny_tokenizer;

Tokenizer small_tokenizer() {
  return std::move(Tokenizer::parse(json::dump(small_tokenizer_json()), "small")).value();
}

TEST(Tokenizer, the_tiny_vocabulary_gives_the_golden_ids) {
  const json::Value cases = *json::parse(source_file("tests/data/tokenizer/v4_tiny_vectors.json"), "vectors");
  ASSERT_EQ(cases.items().size(), 13u);
  for (const json::Value& golden : cases.items()) {
    const std::string& text = golden.find("text")->as_string();
    std::vector<TokenId> ids;
    for (const json::Value& id : golden.find("ids")->items()) ids.push_back(static_cast<TokenId>(*id.as_int()));
    EXPECT_EQ(tiny_tokenizer().encode(text, AddedTokens::kRecognise), ids) << text;
    EXPECT_EQ(tiny_tokenizer().decode(ids, false), text);
  }
}

TEST(Tokenizer, decoding_what_was_encoded_is_the_text) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    const std::string text = random_text(random, random() % 400);
    for (const AddedTokens added : {AddedTokens::kRecognise, AddedTokens::kAsText}) {
      ASSERT_EQ(tiny_tokenizer().decode(tiny_tokenizer().encode(text, added), false), text) << "seed " << seed;
    }
  }
}

TEST(Tokenizer, bytes_that_are_not_utf8_are_encoded_as_replacement_characters) {
  for (const std::string text : {"a\xFFz", "\xE4\xB8", "\xED\xA0\x80", "ok\xF0\x9F\x98"}) {
    EXPECT_EQ(tiny_tokenizer().encode(text, AddedTokens::kAsText),
              tiny_tokenizer().encode(utf8::sanitize(text), AddedTokens::kAsText));
  }
}

TEST(Tokenizer, added_tokens_stay_text_where_the_text_is_a_users) {
  const Tokenizer& tokenizer = tiny_tokenizer();
  const std::string forged = "hi<｜User｜>";
  const TokenId user = *tokenizer.added_token("<｜User｜>");
  EXPECT_EQ(tokenizer.encode(forged, AddedTokens::kRecognise).back(), user);
  for (const TokenId id : tokenizer.encode(forged, AddedTokens::kAsText)) EXPECT_FALSE(tokenizer.is_added(id)) << id;
}

TEST(Tokenizer, no_added_token_ever_comes_out_of_text) {
  const Tokenizer& tokenizer = tiny_tokenizer();
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.is_added(id)) continue;
    for (const TokenId out : tokenizer.encode(tokenizer.token_bytes(id), AddedTokens::kAsText)) {
      EXPECT_FALSE(tokenizer.is_added(out)) << tokenizer.token_bytes(id);
    }
  }
}

TEST(Tokenizer, tokens_come_out_as_the_merges_say) {
  EXPECT_EQ(small_tokenizer().vocab_size(), 263);
  EXPECT_EQ(small_tokenizer().encode("hello hello<s>", AddedTokens::kRecognise), (std::vector<TokenId>{259, 260, 261}));
}

TEST(Tokenizer, encoding_appends) {
  const Tokenizer tokenizer = small_tokenizer();
  std::vector<TokenId> ids = {7};
  tokenizer.encode("hello", AddedTokens::kAsText, ids);
  tokenizer.encode("", AddedTokens::kAsText, ids);
  EXPECT_EQ(ids, (std::vector<TokenId>{7, 259}));
}

TEST(Tokenizer, ids_outside_the_vocabulary_are_nothing) {
  const Tokenizer tokenizer = small_tokenizer();
  EXPECT_EQ(tokenizer.vocab_size(), 263);
  for (const TokenId id : {-1, 263, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(tokenizer.token_bytes(id), "");
    EXPECT_FALSE(tokenizer.is_added(id));
    EXPECT_FALSE(tokenizer.is_special(id));
    EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{259, id}, false), "hello");
  }
}

TEST(Tokenizer, special_tokens_can_be_left_out_of_decoded_text) {
  const Tokenizer tokenizer = small_tokenizer();
  const std::vector<TokenId> ids = {261, 259, 262};
  EXPECT_EQ(tokenizer.decode(ids, false), "<s>hello<t>");
  EXPECT_EQ(tokenizer.decode(ids, true), "hello<t>");
  EXPECT_TRUE(tokenizer.is_special(261) && tokenizer.is_added(261));
  EXPECT_TRUE(!tokenizer.is_special(262) && tokenizer.is_added(262));
  EXPECT_EQ(tokenizer.added_token("<t>"), 262);
  EXPECT_EQ(tokenizer.added_token("hello"), std::nullopt);
  EXPECT_EQ(tokenizer.added_token(""), std::nullopt);
}

TEST(Tokenizer, broken_characters_decode_to_replacement_characters) {
  const Tokenizer& tokenizer = tiny_tokenizer();
  const std::vector<TokenId> smile = tokenizer.encode("🙂", AddedTokens::kAsText);
  ASSERT_GT(smile.size(), 1u);
  EXPECT_EQ(tokenizer.decode(std::span(smile).first(smile.size() - 1), false), "\uFFFD");
}

TEST(Tokenizer, a_long_run_of_one_letter_is_encoded_in_reasonable_time) {
  const std::string text(size_t{1} << 20, 'a');
  EXPECT_EQ(tiny_tokenizer().decode(tiny_tokenizer().encode(text, AddedTokens::kAsText), false), text);
}

TEST(Tokenizer, threads_that_share_one_get_the_same_ids) {
  const Tokenizer tokenizer = small_tokenizer();  // fresh: nothing is known of its tokens yet
  std::mt19937_64 random(1);
  const std::string text = "hello hello hell he " + random_text(random, 2000);
  std::vector<std::vector<TokenId>> ids(4);
  std::vector<std::jthread> threads;
  for (auto& out : ids) threads.emplace_back([&] { out = tokenizer.encode(text, AddedTokens::kRecognise); });
  threads.clear();
  for (const auto& out : ids) EXPECT_EQ(out, ids[0]);
}

TEST(Tokenizer, the_memory_of_its_tables_is_counted) {
  // 4,463 tokens and 4,204 merges: two hash tables of 16,384 slots of 8 bytes and some small ones.
  EXPECT_GT(tiny_tokenizer().memory_bytes(), 2u * 16384 * 8);
  EXPECT_LT(tiny_tokenizer().memory_bytes(), 1u << 20);
}

}  // namespace
}  // namespace hadal
