#include "engine/needle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <set>

namespace hadal {
namespace {

using ::testing::HasSubstr;

Engine make_engine(const char* folder) {
  Result<ModelFiles> files = ModelFiles::open(fs::path(HADAL_SOURCE_DIR) / folder);
  EXPECT_TRUE(files.ok());
  Result<std::shared_ptr<const LoadedModel>> model = LoadedModel::open(std::move(*files));
  EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().to_string());
  EngineOptions options;
  options.n_threads = 1;
  options.context_tokens = 256;
  Result<Engine> engine = Engine::create(*model, options);
  EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().to_string());
  return std::move(*engine);
}

void ignore_progress(int64_t, int64_t) {}

constexpr std::string_view kFiller =
    "Once there was a house. It stood on a hill. Nobody lived in it, but the door was open.";

TEST(Needle, a_sentence_is_hidden_between_words_at_its_depth) {
  EXPECT_EQ(hide("one two three four", "NEEDLE", 0), "NEEDLE\n\none two three four");
  EXPECT_EQ(hide("one two three four", "NEEDLE", 50), "one two three\n\nNEEDLE\n\nfour");
  EXPECT_EQ(hide("one two three four", "NEEDLE", 100), "one two three four\n\nNEEDLE");
  EXPECT_EQ(hide("", "NEEDLE", 50), "NEEDLE");
}

TEST(Needle, a_haystack_has_the_length_that_was_asked_for) {
  const Engine engine = make_engine("models/v4-tiny");
  const Tokenizer& tokenizer = *engine.model().tokenizer;
  const std::string text = haystack(tokenizer, kFiller, 100);
  const size_t n = tokenizer.encode(text, AddedTokens::kAsText).size();
  EXPECT_NEAR(static_cast<double>(n), 100, 2) << "a seam between repetitions may be cut into other tokens";
  EXPECT_THAT(text, HasSubstr(std::string(kFiller)));
  EXPECT_EQ(haystack(tokenizer, "", 100), "");
}

TEST(Needle, documents_of_a_filler_become_paragraphs) {
  const Engine engine = make_engine("models/v4-tiny");
  const std::string_view two_documents("one\0two", 7);
  EXPECT_THAT(haystack(*engine.model().tokenizer, two_documents, 3), HasSubstr("one\n\n"));
}

TEST(Needle, code_words_differ_from_try_to_try_and_are_the_same_again) {
  std::set<std::string> words;
  for (uint64_t i = 0; i < 100; ++i) words.insert(code_word(7, i, ""));
  EXPECT_GT(words.size(), 20u);
  EXPECT_EQ(code_word(7, 3, "a text"), code_word(7, 3, "a text"));
}

TEST(Needle, a_code_word_is_not_in_the_text_already) {
  std::string text;
  // Each word that is chosen joins the text, in capitals; in the end the text has all words of the list.
  for (int i = 0; i < 40; ++i) {
    const std::string word = code_word(7, 0, text);
    EXPECT_EQ(text.find(word), std::string::npos) << text;
    std::string capitals = word;
    for (char& c : capitals) c = static_cast<char>(std::toupper(c));
    text += capitals + " ";
  }
}

TEST(Needle, every_length_is_tried_at_every_depth) {
  Engine engine = make_engine("models/v4-tiny");
  NeedleOptions options;
  options.filler_tokens = {20, 40};
  options.depths_percent = {0, 100};
  options.answer_tokens_max = 4;
  const Result<std::vector<NeedleTry>> tries = find_needles(engine, kFiller, options, ignore_progress);
  ASSERT_TRUE(tries.ok()) << tries.error().to_string();
  ASSERT_EQ(tries->size(), 4u);
  EXPECT_EQ((*tries)[1].depth_percent, 100);
  EXPECT_GT((*tries)[2].prompt_tokens, (*tries)[0].prompt_tokens);
  EXPECT_EQ(needles_to_json(*tries).find("tries")->items().size(), 4u);
}

TEST(Needle, numbers_out_of_range_and_empty_text_are_refused) {
  Engine engine = make_engine("models/v4-tiny");
  NeedleOptions options;
  options.depths_percent = {101};
  EXPECT_EQ(find_needles(engine, kFiller, options, ignore_progress).error().in, "--needle-depth");
  options = {};
  options.filler_tokens = {0};
  EXPECT_EQ(find_needles(engine, kFiller, options, ignore_progress).error().in, "--needle-tokens");
  EXPECT_EQ(find_needles(engine, "", {}, ignore_progress).error().code, ErrorCode::kInvalid);
}

TEST(Needle, a_haystack_beyond_the_context_is_refused) {
  Engine engine = make_engine("models/v4-tiny");
  NeedleOptions options;
  options.filler_tokens = {300};
  EXPECT_EQ(find_needles(engine, kFiller, options, ignore_progress).error().code, ErrorCode::kLimit);
}

TEST(Needle, a_model_without_a_tokenizer_is_refused) {
  Engine engine = make_engine("tests/data/v4-random");
  EXPECT_EQ(find_needles(engine, kFiller, {}, ignore_progress).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace hadal
