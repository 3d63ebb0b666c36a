#include "model/gguf/gguf_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/io.h"
#include "testing/checkpoint_builder.h"
#include "testing/gguf_bytes.h"

namespace hadal {
namespace {

using test::gguf_array;
using test::gguf_key;
using test::gguf_string;
using test::GgufParts;
using test::must;
using test::raw;
using ::testing::HasSubstr;

constexpr int64_t kVocab = 4480;

std::string tokenizer_text() {
  return must(read_file(fs::path(HADAL_SOURCE_DIR) / "models/v4-tiny/tokenizer.json", 1 << 24));
}

// v4-tiny's tokenizer as a GGUF file.
std::string tiny_file(int64_t vocab_size = kVocab) {
  GgufMetadata metadata;
  const json::Value json = must(json::parse(tokenizer_text(), "tokenizer.json"));
  const Result<void> added = add_gguf_tokenizer(json, "tokenizer.json", vocab_size, true, metadata);
  EXPECT_TRUE(added.ok()) << (added.ok() ? "" : added.error().to_string());
  return gguf_header(metadata, {}, 32);
}

GgufFile parsed(const std::string& file) {
  return must(parse_gguf(std::as_bytes(std::span(file)), "m.gguf"));
}

const std::string kTexts[] = {
    "Hello, world! 12345 x",
    "<｜User｜>a<think>b</think><｜end▁of▁sentence｜>",
    "def f(x):\n    return x * 2  # 測試 テスト\r\n\r\n",
    std::string("\xff\xfe broken \xc3", 11),
    "",
};

TEST(GgufTokenizer, a_tokenizer_written_as_metadata_gives_the_same_ids) {
  const std::string file = tiny_file();
  const Tokenizer want = must(Tokenizer::parse(tokenizer_text(), "tokenizer.json"));
  const Tokenizer got = *must(parse_gguf_tokenizer(parsed(file), "m.gguf"));
  EXPECT_EQ(got.vocab_size(), want.vocab_size());
  for (const std::string& text : kTexts) {
    for (const AddedTokens added : {AddedTokens::kRecognise, AddedTokens::kAsText})
      EXPECT_EQ(got.encode(text, added), want.encode(text, added)) << text;
  }
  for (TokenId id = 0; id < want.vocab_size(); ++id) {
    ASSERT_EQ(got.token_bytes(id), want.token_bytes(id)) << id;
    ASSERT_EQ(got.is_added(id), want.is_added(id)) << id;
    ASSERT_EQ(got.is_special(id), want.is_special(id)) << id;
  }
}

TEST(GgufTokenizer, it_becomes_a_tokenizer_json_again) {
  const std::string file = tiny_file();
  const json::Value json = *must(tokenizer_json_of_gguf(parsed(file), "m.gguf"));
  const Tokenizer want = must(Tokenizer::parse(tokenizer_text(), "tokenizer.json"));
  const Tokenizer got = must(Tokenizer::parse(json::dump(json), "again"));
  for (const std::string& text : kTexts)
    EXPECT_EQ(got.encode(text, AddedTokens::kRecognise), want.encode(text, AddedTokens::kRecognise)) << text;
}

TEST(GgufTokenizer, rows_of_the_embedding_without_a_token_are_no_tokens) {
  const std::string file = tiny_file(kVocab + 20);
  EXPECT_EQ(parsed(file).find("tokenizer.ggml.tokens")->count, static_cast<uint64_t>(kVocab + 20));
  EXPECT_EQ((*must(parse_gguf_tokenizer(parsed(file), "m.gguf"))).vocab_size(), kVocab);
}

TEST(GgufTokenizer, a_file_may_have_none) {
  const std::string file = GgufParts{}.file();
  EXPECT_FALSE(must(parse_gguf_tokenizer(parsed(file), "m.gguf")).has_value());
  EXPECT_FALSE(must(tokenizer_json_of_gguf(parsed(file), "m.gguf")).has_value());
}

TEST(GgufTokenizer, a_tokenizer_larger_than_the_model_is_not_written) {
  GgufMetadata metadata;
  const json::Value json = must(json::parse(tokenizer_text(), "tokenizer.json"));
  const Result<void> added = add_gguf_tokenizer(json, "tokenizer.json", 100, true, metadata);
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().code, ErrorCode::kInvalid);
}

std::string strings(const std::vector<std::string>& texts) {
  std::string elements;
  for (const std::string& text : texts) elements += gguf_string(text);
  return gguf_array(GgufType::kString, texts.size(), elements);
}
std::string types(const std::vector<int32_t>& list) {
  return gguf_array(GgufType::kI32, list.size(),
                    {reinterpret_cast<const char*>(list.data()), list.size() * sizeof(int32_t)});
}

// A tokenizer of three tokens, one of its keys replaced.
struct BadTokenizer {
  const char* why;
  const char* key;
  GgufType type;
  std::string value;
  ErrorCode code;
  const char* want;
};

TEST(GgufTokenizer, hostile_metadata_are_refused_by_key) {
  constexpr auto kArray = GgufType::kArray;
  constexpr auto kString = GgufType::kString;
  constexpr auto kCorrupt = ErrorCode::kCorrupt;
  constexpr auto kUnsupported = ErrorCode::kUnsupported;
  const BadTokenizer list[] = {
      {"another model", "model", kString, gguf_string("llama"), kUnsupported, "gpt2"},
      {"model is a number", "model", GgufType::kU32, raw(1), kUnsupported, "gpt2"},
      {"another split", "pre", kString, gguf_string("qwen2"), kUnsupported, "deepseek-v3"},
      {"types too short", "token_type", kArray, types({1, 1}), kCorrupt, "3 types"},
      {"types are texts", "token_type", kString, gguf_string("1"), kCorrupt, "3 types"},
      {"a byte token", "token_type", kArray, types({1, 6, 1}), kUnsupported, "1 (normal)"},
      {"a type that is none", "token_type", kArray, types({1, 99, 1}), kUnsupported, "1 (normal)"},
      {"tokens are numbers", "tokens", kArray, types({1, 2, 3}), kCorrupt, "array of strings"},
      {"an empty token", "tokens", kArray, strings({"a", "", "b"}), kCorrupt, "1 to 4096 bytes"},
      {"a huge token", "tokens", kArray, strings({"a", std::string(5000, 'x'), "b"}), ErrorCode::kLimit, "4096"},
      {"a merge without a space", "merges", kArray, strings({"ab"}), kCorrupt, "left right"},
      {"a merge with two", "merges", kArray, strings({"a b c"}), kCorrupt, "left right"},
      {"merges are missing", "merges", GgufType::kU32, raw(1), kCorrupt, "array of strings"},
  };
  for (const BadTokenizer& bad : list) {
    GgufParts parts;
    const auto add = [&](const char* key, GgufType type, const std::string& value) {
      const bool is_bad = std::string_view(key) == bad.key;
      parts.keys.push_back(
          gguf_key(std::string("tokenizer.ggml.") + key, is_bad ? bad.type : type, is_bad ? bad.value : value));
    };
    add("model", kString, gguf_string("gpt2"));
    add("pre", kString, gguf_string("deepseek-v3"));
    add("tokens", kArray, strings({"a", "b", "ab"}));
    add("token_type", kArray, types({1, 1, 1}));
    add("merges", kArray, strings({"a b"}));
    const std::string file = parts.file();
    const Result<std::optional<Tokenizer>> read = parse_gguf_tokenizer(parsed(file), "m.gguf");
    ASSERT_FALSE(read.ok()) << bad.why;
    EXPECT_EQ(read.error().code, bad.code) << bad.why << "\n" << read.error().to_string();
    EXPECT_THAT(read.error().in, HasSubstr("m.gguf: tokenizer.ggml.")) << bad.why;
    EXPECT_THAT(read.error().want, HasSubstr(bad.want)) << bad.why;
  }
}

// Ids and merges are checked as those of a tokenizer.json are.
TEST(GgufTokenizer, a_vocabulary_without_all_bytes_is_refused) {
  GgufParts parts;
  parts.keys = {gguf_key("tokenizer.ggml.model", GgufType::kString, gguf_string("gpt2")),
                gguf_key("tokenizer.ggml.pre", GgufType::kString, gguf_string("deepseek-v3")),
                gguf_key("tokenizer.ggml.tokens", GgufType::kArray, strings({"a", "b", "ab"})),
                gguf_key("tokenizer.ggml.token_type", GgufType::kArray, types({1, 1, 1})),
                gguf_key("tokenizer.ggml.merges", GgufType::kArray, strings({"a b"}))};
  const std::string file = parts.file();
  const Result<std::optional<Tokenizer>> read = parse_gguf_tokenizer(parsed(file), "m.gguf");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace hadal
