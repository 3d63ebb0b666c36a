// Goldens: the normaliser of the tokenizers library over the texts of engram_map.json. The whole map of V3's vocabulary
// is compared in tests/tokenizer, which has that vocabulary.
#include "model/engram_token_classes.h"

#include <gtest/gtest.h>

#include "base/io.h"
#include "base/json.h"
#include "testing/tokenizers.h"

namespace hadal {
namespace {

constexpr std::string_view kData = HADAL_SOURCE_DIR "/tests/data/tokenizer/engram_map.json";

TEST(EngramTokenClasses, texts_are_normalised_as_the_reference_does) {
  const Result<std::string> text = read_file(std::string(kData), 1 << 20);
  ASSERT_TRUE(text.ok()) << text.error().to_string();
  const Result<json::Value> file = json::parse(*text, "engram_map.json");
  ASSERT_TRUE(file.ok()) << file.error().to_string();
  const json::Value* examples = file->find("normalizer_examples");
  ASSERT_NE(examples, nullptr);
  ASSERT_GT(examples->items().size(), 50u);
  for (const json::Value& example : examples->items()) {
    EXPECT_EQ(engram_normalized(example.find("text")->as_string()), example.find("normalized")->as_string())
        << json::dump_python(example);
  }
}

Tokenizer small_tokenizer() {
  const std::string text = json::dump_python(tokenizer::testing::small_tokenizer_json());
  Result<Tokenizer> tokenizer = Tokenizer::parse(text, "test");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
  return *std::move(tokenizer);
}

// 256 bytes, of which 26 are the upper case of others and 3 more are the space; he, ll, hell, hello, " hello" (the same
// as without the space), two added tokens, and two ids that the tokenizer does not have.
TEST(EngramTokenClasses, tokens_of_equal_texts_are_one_class_in_order_of_their_first) {
  ModelDescription d;
  d.vocab_size = 265;
  d.engram_n_classes = 256 - 26 - 3 + 4 + 2 + 2;
  const Result<std::vector<int32_t>> found = engram_token_classes(small_tokenizer(), d, "tokenizer.json");
  ASSERT_TRUE(found.ok()) << found.error().to_string();
  const std::vector<int32_t>& classes = *found;
  ASSERT_EQ(classes.size(), 265u);
  EXPECT_EQ(classes[0], 0);
  EXPECT_EQ(classes[1], 1);
  EXPECT_EQ(classes['a'], classes['A']);
  EXPECT_EQ(classes['\n'], classes[' ']);
  EXPECT_NE(classes['\v'], classes[' ']) << "stripped to nothing, it is itself";
  EXPECT_NE(classes[0xC3], classes[0xE3]) << "halves of characters are their spelling, whose case counts";
  EXPECT_EQ(classes[259], classes[260]) << "hello with and without a space";
  EXPECT_EQ(classes[263], classes[264] - 1);
  EXPECT_EQ(classes[264], d.engram_n_classes - 1);
}

TEST(EngramTokenClasses, another_number_of_classes_is_refused) {
  ModelDescription d;
  d.vocab_size = 263;
  d.engram_n_classes = 234;
  const Result<std::vector<int32_t>> classes = engram_token_classes(small_tokenizer(), d, "tokenizer.json");
  ASSERT_FALSE(classes.ok());
  EXPECT_EQ(classes.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(classes.error().found, "233 of 263 tokens");
}

}  // namespace
}  // namespace hadal
