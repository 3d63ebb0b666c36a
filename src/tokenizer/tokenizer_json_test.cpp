// tokenizer.json from strangers: each way in which a good file can be made bad, and the message that it gives.
#include "tokenizer/tokenizer_json.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "testing/tokenizers.h"
#include "tokenizer/bpe_tables.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/regex_dialect.h"

namespace hadal::tokenizer {
namespace {

using json::Value;
using testing::member;
using testing::small_tokenizer_json;

Value& vocab(Value& root) {
  return member(member(root, "model"), "vocab");
}
Value& merges(Value& root) {
  return member(member(root, "model"), "merges");
}
Value& stages(Value& root) {
  return member(member(root, "pre_tokenizer"), "pretokenizers");
}
Value& split(Value& root) {
  return stages(root).items()[0];
}
Value& byte_level(Value& root) {
  return stages(root).items().back();
}
Value& added(Value& root, size_t i) {
  return member(root, "added_tokens").items()[i];
}

Value object_of_type(std::string_view type) {
  Value object = Value::object();
  return object.set("type", Value::string(type));
}

Value array_of(Value item, size_t n) {
  Value array = Value::array();
  for (size_t i = 0; i < n; ++i) array.push(item);
  return array;
}

void remove(Value& object, std::string_view key) {
  std::erase_if(object.members(), [key](const json::Member& m) { return m.first == key; });
}

struct BadFile {
  const char* what;
  void (*damage)(Value& root);
  ErrorCode code;
  const char* place;  // part of Error::in
  const char* found;  // part of Error::found
};

constexpr ErrorCode kCorrupt = ErrorCode::kCorrupt;
constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;
constexpr ErrorCode kLimit = ErrorCode::kLimit;

// clang-format off
const BadFile kBadFiles[] = {
    {"no object", [](Value& r) { r = Value::array(); }, kCorrupt, "", "an array"},
    {"another version", [](Value& r) { r.set("version", Value::string("2.0")); }, kUnsupported, "version", "2.0"},
    {"truncation", [](Value& r) { r.set("truncation", Value::object()); }, kUnsupported, "truncation", "object"},
    {"padding", [](Value& r) { r.set("padding", Value::object()); }, kUnsupported, "padding", "object"},
    {"unknown field", [](Value& r) { r.set("extra", Value::number(int64_t{1})); }, kUnsupported, "extra", "1"},

    {"normalizer", [](Value& r) { r.set("normalizer", object_of_type("NFKC")); }, kUnsupported, "normalizer.type", "NFKC"},
    {"normalizer is a string", [](Value& r) { r.set("normalizer", Value::string("x")); }, kCorrupt, "normalizer", "x"},
    {"normalizer sequence with content",
     [](Value& r) { r.set("normalizer", object_of_type("Sequence")); member(r, "normalizer").set("normalizers", array_of(object_of_type("NFC"), 1)); },
     kUnsupported, "normalizer.normalizers", "array of 1"},

    {"no pre_tokenizer", [](Value& r) { remove(r, "pre_tokenizer"); }, kCorrupt, "pre_tokenizer", ""},
    {"pre_tokenizer null", [](Value& r) { r.set("pre_tokenizer", Value()); }, kCorrupt, "pre_tokenizer", ""},
    {"bare ByteLevel", [](Value& r) { r.set("pre_tokenizer", byte_level(r)); }, kUnsupported, "pre_tokenizer.type", "ByteLevel"},
    {"no stages", [](Value& r) { stages(r) = Value::array(); }, kUnsupported, "pre_tokenizer.pretokenizers", "empty"},
    {"ByteLevel is missing", [](Value& r) { stages(r).items().pop_back(); }, kUnsupported, "pretokenizers[2].type", "Split"},
    {"ByteLevel is not last", [](Value& r) { stages(r).push(byte_level(r)); }, kUnsupported, "pretokenizers[3].type", "ByteLevel"},
    {"another stage", [](Value& r) { split(r) = object_of_type("Digits"); }, kUnsupported, "pretokenizers[0].type", "Digits"},
    {"stage is a number", [](Value& r) { split(r) = Value::number(int64_t{3}); }, kCorrupt, "pretokenizers[0]", "3"},
    {"prefix space", [](Value& r) { byte_level(r).set("add_prefix_space", Value::boolean(true)); }, kUnsupported, "[3].add_prefix_space", "true"},
    {"ByteLevel regex", [](Value& r) { byte_level(r).set("use_regex", Value::boolean(true)); }, kUnsupported, "[3].use_regex", "true"},
    {"ByteLevel regex by default", [](Value& r) { remove(byte_level(r), "use_regex"); }, kCorrupt, "[3].use_regex", ""},
    {"ByteLevel with more", [](Value& r) { byte_level(r).set("x", Value::boolean(true)); }, kUnsupported, "[3].\"x\"", "true"},
    {"Removed", [](Value& r) { split(r).set("behavior", Value::string("Removed")); }, kUnsupported, "[0].behavior", "Removed"},
    {"inverted", [](Value& r) { split(r).set("invert", Value::boolean(true)); }, kUnsupported, "[0].invert", "true"},
    {"no pattern", [](Value& r) { remove(split(r), "pattern"); }, kCorrupt, "[0].pattern", ""},
    {"string pattern", [](Value& r) { member(split(r), "pattern") = Value::object(); member(split(r), "pattern").set("String", Value::string(" ")); },
     kUnsupported, "[0].pattern.String", "\" \""},
    {"broken regex", [](Value& r) { member(split(r), "pattern").set("Regex", Value::string("(a")); }, kCorrupt, "[0].pattern.Regex", "(a"},
    {"regex of another dialect", [](Value& r) { member(split(r), "pattern").set("Regex", Value::string("^a")); }, kUnsupported, "[0].pattern.Regex", "anchor"},
    {"long regex", [](Value& r) { member(split(r), "pattern").set("Regex", Value::string(std::string(kRegexBytesMax + 1, 'a'))); },
     kLimit, "[0].pattern.Regex", "4097"},
    {"too many stages", [](Value& r) { const Value last = byte_level(r); stages(r) = array_of(split(r), kSplitsMax + 1); stages(r).push(last); },
     kLimit, "pre_tokenizer.pretokenizers", "17"},

    {"post_processor", [](Value& r) { r.set("post_processor", object_of_type("TemplateProcessing")); }, kUnsupported, "post_processor.type", "Template"},
    {"no decoder", [](Value& r) { r.set("decoder", Value()); }, kCorrupt, "decoder", ""},
    {"decoder", [](Value& r) { r.set("decoder", object_of_type("Metaspace")); }, kUnsupported, "decoder.type", "Metaspace"},

    {"no model", [](Value& r) { remove(r, "model"); }, kCorrupt, "model", ""},
    {"no model type", [](Value& r) { remove(member(r, "model"), "type"); }, kCorrupt, "model.type", ""},
    {"Unigram", [](Value& r) { member(r, "model").set("type", Value::string("Unigram")); }, kUnsupported, "model.type", "Unigram"},
    {"dropout", [](Value& r) { member(r, "model").set("dropout", Value::number(0.1)); }, kUnsupported, "model.dropout", "0.1"},
    {"unknown token", [](Value& r) { member(r, "model").set("unk_token", Value::string("<unk>")); }, kUnsupported, "model.unk_token", "<unk>"},
    {"prefix", [](Value& r) { member(r, "model").set("continuing_subword_prefix", Value::string("##")); }, kUnsupported, "model.continuing", "##"},
    {"suffix", [](Value& r) { member(r, "model").set("end_of_word_suffix", Value::string("</w>")); }, kUnsupported, "model.end_of_word", "</w>"},
    {"byte_fallback", [](Value& r) { member(r, "model").set("byte_fallback", Value::boolean(true)); }, kUnsupported, "model.byte_fallback", "true"},
    {"ignore_merges", [](Value& r) { member(r, "model").set("ignore_merges", Value::boolean(true)); }, kUnsupported, "model.ignore_merges", "true"},
    {"model with more", [](Value& r) { member(r, "model").set("x", Value()); }, kUnsupported, "model.\"x\"", "null"},

    {"no vocab", [](Value& r) { remove(member(r, "model"), "vocab"); }, kCorrupt, "model.vocab", ""},
    {"vocab is an array", [](Value& r) { vocab(r) = Value::array(); }, kCorrupt, "model.vocab", "array"},
    {"empty vocab", [](Value& r) { vocab(r) = Value::object(); merges(r) = Value::array(); r.set("added_tokens", Value()); },
     kCorrupt, "model.vocab", "no token"},
    {"id is a string", [](Value& r) { vocab(r).set("a", Value::string("1")); }, kCorrupt, "model.vocab.\"a\"", "\"1\""},
    {"negative id", [](Value& r) { vocab(r).set("a", Value::number(int64_t{-1})); }, kCorrupt, "model.vocab.\"a\"", "-1"},
    {"broken id", [](Value& r) { vocab(r).set("a", Value::number(1.5)); }, kCorrupt, "model.vocab.\"a\"", "1.5"},
    {"huge id", [](Value& r) { vocab(r).set("a", Value::number(kVocabMax)); }, kCorrupt, "model.vocab.\"a\"", "1048576"},
    {"id beyond 64 bits", [](Value& r) { vocab(r).set("a", Value::number_text("99999999999999999999")); }, kCorrupt, "model.vocab.\"a\"", "99999"},
    {"largest id", [](Value& r) { vocab(r).set("zz", Value::number(kVocabMax - 1)); }, kCorrupt, "model.vocab", "no id 263"},
    {"id twice", [](Value& r) { vocab(r).set("zz", Value::number(int64_t{256})); }, kCorrupt, "model.vocab.\"zz\"", "\"he\""},
    {"id missing", [](Value& r) { vocab(r).set("hello", Value::number(int64_t{263})); }, kCorrupt, "model.vocab", "no id 259"},
    {"byte missing", [](Value& r) { remove(vocab(r), "a"); vocab(r).set("aa", Value::number(int64_t{97})); }, kCorrupt, "model.vocab", ""},
    {"empty token", [](Value& r) { vocab(r).set("", Value::number(int64_t{263})); }, kCorrupt, "model.vocab.\"\"", "0"},
    {"long token", [](Value& r) { vocab(r).set(std::string(kTokenBytesMax + 1, 'a'), Value::number(int64_t{263})); }, kLimit, "model.vocab.\"aaa", "4097"},

    {"no merges", [](Value& r) { remove(member(r, "model"), "merges"); }, kCorrupt, "model.merges", ""},
    {"merge is a number", [](Value& r) { merges(r).push(Value::number(int64_t{7})); }, kCorrupt, "model.merges[5]", "7"},
    {"merge of one", [](Value& r) { merges(r).push(Value::string("ab")); }, kCorrupt, "model.merges[5]", "ab"},
    {"merge of three", [](Value& r) { merges(r).push(Value::string("a b c")); }, kCorrupt, "model.merges[5]", "a b c"},
    {"merge of nothing", [](Value& r) { merges(r).push(Value::string(" ")); }, kCorrupt, "model.merges[5]", "\"\" and \"\""},
    {"merge with an empty side", [](Value& r) { merges(r).push(Value::string("a ")); }, kCorrupt, "model.merges[5]", "\"a\" and \"\""},
    {"pair of three", [](Value& r) { merges(r).push(array_of(Value::string("a"), 3)); }, kCorrupt, "model.merges[5]", "array of 3"},
    {"pair of numbers", [](Value& r) { merges(r).push(array_of(Value::number(int64_t{1}), 2)); }, kCorrupt, "model.merges[5]", "array of 2"},
    {"left is unknown", [](Value& r) { merges(r).push(Value::string("xy z")); }, kCorrupt, "model.merges[5]", "\"xy\" and \"z\""},
    {"right is unknown", [](Value& r) { merges(r).push(Value::string("x yz")); }, kCorrupt, "model.merges[5]", "\"x\" and \"yz\""},
    {"result is unknown", [](Value& r) { merges(r).push(Value::string("x y")); }, kCorrupt, "model.merges[5]", "\"x\" and \"y\""},
    {"merge outside the alphabet", [](Value& r) { merges(r).push(Value::string("｜ a")); }, kCorrupt, "model.merges[5]", "｜"},
    {"merge twice", [](Value& r) { merges(r).push(Value::string("h e")); }, kCorrupt, "model.merges[5]", "merge 0"},
    {"merge gives an added token",
     [](Value& r) { Value token = added(r, 0); token.set("content", Value::string("hello")).set("id", Value::number(int64_t{259})); member(r, "added_tokens").push(token); },
     kCorrupt, "model.merges[3]", "\"hell\" and \"o\""},

    {"added_tokens is an object", [](Value& r) { r.set("added_tokens", Value::object()); }, kCorrupt, "added_tokens", "object"},
    {"added token is a string", [](Value& r) { added(r, 0) = Value::string("<s>"); }, kCorrupt, "added_tokens[0]", "<s>"},
    {"added token without id", [](Value& r) { remove(added(r, 0), "id"); }, kCorrupt, "added_tokens[0].id", ""},
    {"added token without content", [](Value& r) { remove(added(r, 0), "content"); }, kCorrupt, "added_tokens[0].content", ""},
    {"empty added token", [](Value& r) { added(r, 0).set("content", Value::string("")); }, kCorrupt, "added_tokens[0].content", "0"},
    {"long added token", [](Value& r) { added(r, 0).set("content", Value::string(std::string(kAddedTokenBytesMax + 1, 'x'))); },
     kLimit, "added_tokens[0].content", "257"},
    {"added id is negative", [](Value& r) { added(r, 0).set("id", Value::number(int64_t{-5})); }, kCorrupt, "added_tokens[0].id", "-5"},
    {"added id is huge", [](Value& r) { added(r, 0).set("id", Value::number(int64_t{1} << 40)); }, kCorrupt, "added_tokens[0].id", "1099511627776"},
    {"added id is another token's", [](Value& r) { added(r, 0).set("id", Value::number(int64_t{97})); }, kCorrupt, "added_tokens[0].id", "id 97"},
    {"added id twice", [](Value& r) { added(r, 1).set("id", Value::number(int64_t{261})); }, kCorrupt, "added_tokens[1].id", "<s>"},
    {"added id leaves a hole", [](Value& r) { added(r, 1).set("id", Value::number(int64_t{300})); }, kCorrupt, "model.vocab", "no id 262"},
    {"added token twice", [](Value& r) { added(r, 1).set("content", Value::string("<s>")); }, kCorrupt, "added_tokens[1].content", "<s>"},
    {"lstrip", [](Value& r) { added(r, 0).set("lstrip", Value::boolean(true)); }, kUnsupported, "added_tokens[0].lstrip", "true"},
    {"rstrip", [](Value& r) { added(r, 0).set("rstrip", Value::boolean(true)); }, kUnsupported, "added_tokens[0].rstrip", "true"},
    {"single_word", [](Value& r) { added(r, 0).set("single_word", Value::boolean(true)); }, kUnsupported, "added_tokens[0].single_word", "true"},
    {"special is a number", [](Value& r) { added(r, 0).set("special", Value::number(int64_t{1})); }, kCorrupt, "added_tokens[0].special", "1"},
    {"added token with more", [](Value& r) { added(r, 0).set("x", Value()); }, kUnsupported, "added_tokens[0].\"x\"", "null"},
    {"too many added tokens", [](Value& r) { r.set("added_tokens", array_of(added(r, 0), kAddedTokensMax + 1)); }, kLimit, "added_tokens", "8193"},
};
// clang-format on

TEST(TokenizerJson, each_bad_file_is_refused_with_its_place) {
  for (const BadFile& bad : kBadFiles) {
    Value root = small_tokenizer_json();
    bad.damage(root);
    const Result<Tokenizer> tokenizer = Tokenizer::parse(json::dump(root), "bad.json");
    ASSERT_FALSE(tokenizer.ok()) << bad.what;
    const Error& error = tokenizer.error();
    EXPECT_EQ(error.code, bad.code) << bad.what << "\n" << error.to_string();
    EXPECT_TRUE(error.in.starts_with("bad.json")) << bad.what << "\n" << error.to_string();
    EXPECT_NE(error.in.find(bad.place), std::string::npos) << bad.what << "\n" << error.to_string();
    EXPECT_NE(error.found.find(bad.found), std::string::npos) << bad.what << "\n" << error.to_string();
  }
}

TEST(TokenizerJson, a_file_cut_anywhere_is_refused) {
  const std::string text = json::dump(small_tokenizer_json());
  for (size_t length = 0; length < text.size(); ++length) {
    ASSERT_FALSE(Tokenizer::parse(std::string_view(text).substr(0, length), "cut.json").ok()) << length;
  }
}

TEST(TokenizerJson, length_depth_and_number_of_values_are_limited) {
  EXPECT_EQ(Tokenizer::parse(std::string(kFileBytesMax + 1, ' '), "x").error().code, kLimit);
  EXPECT_EQ(
      Tokenizer::parse(std::string(kFileDepthMax + 1, '[') + std::string(kFileDepthMax + 1, ']'), "x").error().code,
      kLimit);
  std::string zeros = "[0";
  for (size_t n = 0; n < kFileValuesMax; ++n) zeros += ",0";
  EXPECT_EQ(Tokenizer::parse(zeros + "]", "x").error().code, kLimit);
}

TEST(TokenizerJson, more_tokens_or_merges_than_ids_and_ranks_are_refused) {
  Value root = small_tokenizer_json();
  vocab(root).members().assign(static_cast<size_t>(kVocabMax) + 1, {"a", Value()});
  EXPECT_EQ(read_tokenizer_json(root).error().code, kLimit);
  root = small_tokenizer_json();
  merges(root).items().assign(static_cast<size_t>(kMergesMax) + 1, Value());
  EXPECT_EQ(read_tokenizer_json(root).error().code, kLimit);
}

struct GoodFile {
  const char* what;
  void (*change)(Value& root);
};

// What may differ without changing an id.
const GoodFile kGoodFiles[] = {
    {"as it is", [](Value&) {}},
    {"empty normalizer",
     [](Value& r) {
       r.set("normalizer", object_of_type("Sequence"));
       member(r, "normalizer").set("normalizers", Value::array());
     }},
    {"no post_processor", [](Value& r) { r.set("post_processor", Value()); }},
    {"merges as pairs",
     [](Value& r) {
       Value pair = Value::array();
       pair.push(Value::string("h")).push(Value::string("e"));
       merges(r).items()[0] = pair;
     }},
    {"vocab in another order", [](Value& r) { std::reverse(vocab(r).members().begin(), vocab(r).members().end()); }},
    {"optional fields left out",
     [](Value& r) {
       for (const char* key : {"version", "truncation", "padding", "normalizer"}) remove(r, key);
       for (const char* key : {"dropout", "unk_token", "fuse_unk", "byte_fallback", "ignore_merges"}) {
         remove(member(r, "model"), key);
       }
     }},
    {"an added token that is an entry of the vocabulary",
     [](Value& r) {
       vocab(r).set("<s>", Value::number(int64_t{261}));
       vocab(r).set("<｜b｜>", Value::number(int64_t{263}));
     }},
};

TEST(TokenizerJson, what_changes_no_id_is_read) {
  for (const GoodFile& good : kGoodFiles) {
    Value root = small_tokenizer_json();
    good.change(root);
    const Result<Tokenizer> tokenizer = Tokenizer::parse(json::dump(root), "good.json");
    ASSERT_TRUE(tokenizer.ok()) << good.what << "\n" << tokenizer.error().to_string();
    EXPECT_EQ(tokenizer->encode("hello hello<s>h", AddedTokens::kRecognise), (std::vector<TokenId>{259, 260, 261, 104}))
        << good.what;
  }
}

TEST(TokenizerJson, other_splits_are_run_as_regexes) {
  Value root = small_tokenizer_json();
  stages(root).items().erase(stages(root).items().begin() + 1, stages(root).items().begin() + 3);
  const Result<Tokenizer> tokenizer = Tokenizer::parse(json::dump(root), "digits.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
  // No stage cuts before the space, so " hello" is not a piece, yet its merges still apply.
  EXPECT_EQ(tokenizer->encode("hello hello", AddedTokens::kAsText), (std::vector<TokenId>{259, 260}));
}

}  // namespace
}  // namespace hadal::tokenizer
