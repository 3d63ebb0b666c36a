#include <gtest/gtest.h>

#include "testing/tokenizers.h"
#include "tokenizer/tokenizer.h"

namespace hadal {
namespace {

using tokenizer::testing::tiny_tokenizer;

std::string streamed(std::span<const TokenId> ids, bool skip_special) {
  StreamDecoder decoder(tiny_tokenizer(), skip_special);
  std::string text;
  for (const TokenId id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

TEST(StreamDecoder, a_stream_of_any_ids_gives_what_decoding_them_at_once_gives) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<TokenId> ids;
    // Half of them single bytes, so that characters break; some outside the vocabulary.
    for (size_t n = random() % 60; n > 0; --n) {
      ids.push_back(static_cast<TokenId>(random() % 2 == 0 ? random() % 262 : random() % 4500));
    }
    for (const bool skip_special : {false, true}) {
      ASSERT_EQ(streamed(ids, skip_special), tiny_tokenizer().decode(ids, skip_special)) << "seed " << seed;
    }
  }
}

TEST(StreamDecoder, stopping_at_any_token_gives_the_text_of_the_tokens_so_far) {
  const std::vector<TokenId> ids = tiny_tokenizer().encode("naïve 你好 🙂🚀 é", AddedTokens::kRecognise);
  for (size_t n = 0; n <= ids.size(); ++n) {
    EXPECT_EQ(streamed(std::span(ids).first(n), false), tiny_tokenizer().decode(std::span(ids).first(n), false));
  }
}

TEST(StreamDecoder, text_is_held_back_only_while_a_character_is_open) {
  StreamDecoder decoder(tiny_tokenizer(), false);
  const std::vector<TokenId> ids = tiny_tokenizer().encode("🙂", AddedTokens::kAsText);
  ASSERT_GT(ids.size(), 1u);
  for (size_t i = 0; i + 1 < ids.size(); ++i) EXPECT_EQ(decoder.push(ids[i]), "");
  EXPECT_EQ(decoder.push(ids.back()), "🙂");
  EXPECT_EQ(decoder.finish(), "");
}

TEST(StreamDecoder, a_token_in_the_middle_of_a_character_ends_it) {
  StreamDecoder decoder(tiny_tokenizer(), false);
  EXPECT_EQ(decoder.push(tiny_tokenizer().encode("🙂", AddedTokens::kAsText)[0]), "");
  const TokenId a = tiny_tokenizer().encode("a", AddedTokens::kAsText)[0];
  EXPECT_EQ(decoder.push(a), "\uFFFDa");
}

TEST(StreamDecoder, finishing_empties_it) {
  StreamDecoder decoder(tiny_tokenizer(), false);
  EXPECT_EQ(decoder.push(tiny_tokenizer().encode("🙂", AddedTokens::kAsText)[0]), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.finish(), "");
}

}  // namespace
}  // namespace hadal
