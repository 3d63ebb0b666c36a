// Tokenizers for tests: a small one that is right and easy to break, the one that ships, and text from a seed.
#pragma once

#include <array>
#include <random>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/io.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/deepseek_scanner.h"
#include "tokenizer/tokenizer.h"

namespace hadal::tokenizer::testing {
using json::Value;

inline Value added_token(int64_t id, std::string_view content, bool is_special) {
  Value token = Value::object();
  token.set("id", Value::number(id)).set("content", Value::string(content));
  for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"}) token.set(flag, Value::boolean(false));
  return token.set("special", Value::boolean(is_special));
}

inline Value split(std::string_view regex) {
  Value pattern = Value::object();
  pattern.set("Regex", Value::string(regex));
  Value stage = Value::object();
  stage.set("type", Value::string("Split")).set("pattern", std::move(pattern));
  return stage.set("behavior", Value::string("Isolated")).set("invert", Value::boolean(false));
}

inline Value byte_level(bool flag) {
  Value stage = Value::object();
  stage.set("type", Value::string("ByteLevel")).set("add_prefix_space", Value::boolean(flag));
  return stage.set("trim_offsets", Value::boolean(true)).set("use_regex", Value::boolean(flag));
}

inline Value small_model() {
  const ByteAlphabet alphabet;
  Value vocab = Value::object();
  int64_t id = 0;
  for (int byte = 0; byte < 256; ++byte) vocab.set(alphabet.spelling(static_cast<uint8_t>(byte)), Value::number(id++));
  for (const char* token : {"he", "ll", "hell", "hello", "Ġhello"}) vocab.set(token, Value::number(id++));
  Value merges = Value::array();
  for (const char* merge : {"h e", "l l", "he ll", "hell o", "Ġ hello"}) merges.push(Value::string(merge));
  Value model = Value::object();
  model.set("type", Value::string("BPE"));
  for (const char* key : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"}) {
    model.set(key, Value());
  }
  for (const char* key : {"fuse_unk", "byte_fallback", "ignore_merges"}) model.set(key, Value::boolean(false));
  return model.set("vocab", std::move(vocab)).set("merges", std::move(merges));
}

// Byte-level BPE with DeepSeek's splits: the 256 bytes, the merges h e, l l, he ll, hell o and Ġ hello (ids 256 to
// 260), and the added tokens <s> (261, special) and <t> (262).
inline Value small_tokenizer_json() {
  Value stages = Value::array();
  for (const std::string_view regex : kDeepSeekSplits) stages.push(split(regex));
  stages.push(byte_level(false));
  Value pre_tokenizer = Value::object();
  pre_tokenizer.set("type", Value::string("Sequence")).set("pretokenizers", std::move(stages));
  Value added = Value::array();
  added.push(added_token(261, "<s>", true)).push(added_token(262, "<t>", false));
  Value root = Value::object();
  root.set("version", Value::string("1.0")).set("truncation", Value()).set("padding", Value());
  root.set("added_tokens", std::move(added)).set("normalizer", Value()).set("pre_tokenizer", std::move(pre_tokenizer));
  root.set("post_processor", byte_level(true)).set("decoder", byte_level(true));
  return root.set("model", small_model());
}

// The member of an object that has it, to be changed.
inline Value& member(Value& object, std::string_view key) {
  for (auto& [name, value] : object.members()) {
    if (name == key) return value;
  }
  HADAL_CHECK(false, "no such member:", key);
  return object;
}

// A file of the source tree.
inline std::string source_file(const std::string& path) {
  Result<std::string> text = read_file(fs::path(HADAL_SOURCE_DIR) / path, uint64_t{1} << 30);
  HADAL_CHECK(text.ok(), text.error().to_string());
  return std::move(text).value();
}

inline std::string tiny_tokenizer_text() {
  return source_file("models/v4-tiny/tokenizer.json");
}

// The tokenizer of the tiny model that ships.
inline const Tokenizer& tiny_tokenizer() {
  static const Tokenizer tokenizer = [] {
    Result<Tokenizer> parsed = Tokenizer::parse(tiny_tokenizer_text(), "models/v4-tiny/tokenizer.json");
    HADAL_CHECK(parsed.ok(), parsed.error().to_string());
    return std::move(parsed).value();
  }();
  return tokenizer;
}

// About n_characters of anything: runs of letters, digits, CJK, kana, marks, symbols, emoji, white space, controls,
// unassigned and arbitrary code points. Valid UTF-8.
inline std::string random_text(std::mt19937_64& random, size_t n_characters) {
  using Range = std::pair<uint32_t, uint32_t>;
  static constexpr auto kRanges = std::to_array<Range>({
      {'a', 'z'},         {'a', 'z'},         {'A', 'Z'},         {'0', '9'},       {' ', ' '},
      {' ', ' '},         {'\t', '\r'},       {'\n', '\n'},       {'!', '/'},       {':', '@'},
      {'[', '`'},         {'{', '~'},         {0x4E00, 0x9FA5},   {0x9F90, 0x9FB0}, {0x3040, 0x30FF},
      {0x3000, 0x3041},   {0x3095, 0x30A1},   {0x30FA, 0x3105},   {0x00, 0x1F},     {0x80, 0xFF},
      {0x100, 0x24F},     {0x300, 0x36F},     {0x400, 0x4FF},     {0x5D0, 0x66F},   {0x900, 0x97F},
      {0x1680, 0x1680},   {0x180E, 0x180E},   {0x2000, 0x206F},   {0x2070, 0x218F}, {0x2190, 0x27BF},
      {0xAC00, 0xD7A3},   {0xE000, 0xE010},   {0xFE00, 0xFE0F},   {0xFF00, 0xFFEF}, {0x1F300, 0x1FAFF},
      {0x20000, 0x2A6DF}, {0x1D7CE, 0x1D7FF}, {0xE0001, 0xE007F}, {0, 0x10FFFF},
  });
  std::string text;
  size_t n = 0;
  while (n < n_characters) {
    const Range range = kRanges[random() % kRanges.size()];
    // Mostly words, now and then a run that passes the regexes' window.
    const size_t run = random() % 200 == 0 ? 100 + random() % 400 : 1 + random() % 5;
    for (size_t i = 0; i < run && n < n_characters; ++i) {
      const auto c = static_cast<char32_t>(range.first + random() % (range.second - range.first + 1));
      if (c >= 0xD800 && c <= 0xDFFF) continue;
      utf8::append(text, c);
      ++n;
    }
  }
  return text;
}

}  // namespace hadal::tokenizer::testing
