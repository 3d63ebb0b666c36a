// What a model's files say about its text. The rules themselves are tested in prompt/choose_encoding_test.cpp.
#include "engine/model_text.h"

#include <gtest/gtest.h>

#include "base/io.h"
#include "testing/temp_folder.h"
#include "testing/tokenizers.h"

namespace hadal {
namespace {

using test::TempFolder;

constexpr uint64_t kBytesMax = 1 << 20;

ModelDescription v3() {
  const std::string text =
      read_file(fs::path(HADAL_SOURCE_DIR) / "tests/data/v3-random/config.json", kBytesMax).value();
  return parse_model_config(json::parse(text, "config.json").value(), "config.json").value();
}

Result<PromptEncoding> found(const TempFolder& folder) {
  ModelFiles files = ModelFiles::open(folder.path()).value();
  Result<std::optional<Tokenizer>> tokenizer = read_tokenizer(files, nullptr, v3());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
  return find_prompt_encoding(files, nullptr, v3(), *tokenizer ? &**tokenizer : nullptr);
}

TEST(ModelText, a_folder_without_a_word_about_text_is_v3) {
  const TempFolder folder;
  EXPECT_EQ(found(folder).value(), PromptEncoding::kV3);
}

TEST(ModelText, the_template_stands_in_the_tokenizers_config) {
  const TempFolder folder;
  folder.write("tokenizer_config.json", R"({"chat_template": "{{'<｜Assistant｜><think>\\n'}}"})");
  EXPECT_EQ(found(folder).value(), PromptEncoding::kR1);
  folder.write("tokenizer_config.json",
               R"({"chat_template": [{"name": "tool_use", "template": "x"},
          {"name": "default", "template": "{{'<｜Assistant｜></think>'}}"}]})");
  EXPECT_EQ(found(folder).value(), PromptEncoding::kV31);
  folder.write("tokenizer_config.json", R"({"chat_template": 7})");
  EXPECT_EQ(found(folder).value(), PromptEncoding::kV3);
}

TEST(ModelText, a_template_file_of_its_own_wins) {
  const TempFolder folder;
  folder.write("tokenizer_config.json", R"({"chat_template": "{{'<｜Assistant｜><think>\\n'}}"})");
  folder.write("chat_template.jinja", "{{'<｜Assistant｜></think>'}}");
  EXPECT_EQ(found(folder).value(), PromptEncoding::kV31);
}

TEST(ModelText, a_tokenizer_that_knows_reasoning_is_r1s) {
  const TempFolder folder;
  json::Value tokenizer = tokenizer::testing::small_tokenizer_json();
  folder.write("tokenizer.json", json::dump(tokenizer));
  EXPECT_EQ(found(folder).value(), PromptEncoding::kV3);
  tokenizer::testing::member(tokenizer, "added_tokens").push(tokenizer::testing::added_token(263, "<think>", false));
  folder.write("tokenizer.json", json::dump(tokenizer));
  EXPECT_EQ(found(folder).value(), PromptEncoding::kR1);
}

TEST(ModelText, a_broken_config_of_the_tokenizer_is_refused_by_name) {
  const TempFolder folder;
  folder.write("tokenizer_config.json", "{");
  const Result<PromptEncoding> encoding = found(folder);
  ASSERT_FALSE(encoding.ok());
  EXPECT_NE(encoding.error().in.find("tokenizer_config.json"), std::string::npos);
}

TEST(ModelText, a_tokenizer_with_more_tokens_than_the_model_is_refused) {
  const TempFolder folder;
  folder.write("tokenizer.json", json::dump(tokenizer::testing::small_tokenizer_json()));
  ModelFiles files = ModelFiles::open(folder.path()).value();
  ModelDescription description = v3();
  description.vocab_size = 200;
  const auto tokenizer = read_tokenizer(files, nullptr, description);
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.error().what, "the tokenizer has more tokens than the model");
}

}  // namespace
}  // namespace hadal
