#include "tokenizer/deepseek_scanner.h"

#include <gtest/gtest.h>

#include "base/utf8.h"
#include "testing/tokenizers.h"
#include "tokenizer/pre_tokenizer.h"

namespace hadal::tokenizer {
namespace {

const std::vector<std::string_view> kSplits(kDeepSeekSplits.begin(), kDeepSeekSplits.end());

std::vector<std::string> pieces_of(const PreTokenizer& pre_tokenizer, std::string_view text) {
  std::vector<std::string> pieces;
  pre_tokenizer.for_each_piece(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

std::vector<std::string> scanned(std::string_view text) {
  static const PreTokenizer scanner = std::move(PreTokenizer::create(kSplits)).value();
  return pieces_of(scanner, text);
}

std::vector<std::string> matched(std::string_view text) {
  static const PreTokenizer regexes = std::move(PreTokenizer::create(kSplits, PreTokenizer::Use::kAlwaysRegex)).value();
  return pieces_of(regexes, text);
}

// Whether PCRE2 puts the character in a class: then each of two in a row is a piece.
bool pcre2_has(RegexSearch& search, std::string_view character) {
  std::vector<size_t> ends;
  search.split(std::string(character) + std::string(character), 0, ends);
  return ends.size() == 2;
}

// Code points whose class differs because PCRE2 was built with another version of Unicode. One of the two must not
// assign them; any other difference is a bug.
const std::vector<bool>& is_of_another_unicode() {
  static const std::vector<bool> differs = [] {
    struct Class {
      const char* regex;
      uint8_t flags;
    };
    static constexpr Class kClasses[] = {{"[\\p{L}\\p{M}]", kLetter | kCjkLetter},
                                         {"[\\p{P}\\p{S}]", kSymbol | kCjkSymbol},
                                         {"\\p{N}", kNumber},
                                         {"\\s", kSpace},
                                         {"[\r\n]", kNewline}};
    std::vector<bool> result(0x110000);
    const CharClasses classes;
    const Regex unassigned = std::move(Regex::compile("\\p{Cn}")).value();
    RegexSearch is_unassigned(unassigned, 0);
    for (const Class& c : kClasses) {
      const Regex regex = std::move(Regex::compile(c.regex)).value();
      RegexSearch search(regex, 0);
      for (uint32_t code_point = 0; code_point < 0x110000; ++code_point) {
        if (code_point >= 0xD800 && code_point <= 0xDFFF) continue;
        std::string text;
        utf8::append(text, code_point);
        const uint8_t ours = classes.of(code_point);
        if (((ours & c.flags) != 0) == pcre2_has(search, text)) continue;
        result[code_point] = true;
        EXPECT_TRUE(pcre2_has(is_unassigned, text) || (ours & ~kCjk) == 0) << std::hex << code_point << c.regex;
      }
    }
    return result;
  }();
  return differs;
}

std::string without_code_points_of_another_unicode(std::string_view text) {
  std::string kept;
  while (!text.empty()) {
    const utf8::Decoded d = utf8::decode(text);
    if (!is_of_another_unicode()[d.code_point]) kept += text.substr(0, static_cast<size_t>(d.length));
    text.remove_prefix(static_cast<size_t>(d.length));
  }
  return kept;
}

TEST(DeepSeekScanner, classes_are_those_of_pcre2_but_for_the_version_of_unicode) {
  const auto& differs = is_of_another_unicode();
  // Unicode 14 lacks 4,489 code points of 15, Unicode 16 has about 5,800 more, 17 about 10,600.
  EXPECT_LT(std::count(differs.begin(), differs.end(), true), 12000);
}

TEST(DeepSeekScanner, cuts_as_the_regexes_say) {
  struct Case {
    const char* text;
    std::vector<std::string> pieces;
  };
  const Case cases[] = {
      {"Hello world", {"Hello", " world"}},
      {"12345a", {"123", "45", "a"}},
      {"a  b", {"a", " ", " b"}},
      {"a  1", {"a", "  ", "1"}},
      {"x \n y", {"x", " \n", " y"}},
      {"\t\tx", {"\t", "\tx"}},
      {"_a$b!", {"_a", "$b", "!"}},
      {"$é", {"$", "é"}},
      {" ...\r\n\nx", {" ...\r\n\n", "x"}},
      {"中文abc", {"中文", "abc"}},
      {"カ・カー", {"カ", "・", "カー"}},
      {" 中", {" ", "中"}},
      {"trailing  ", {"trailing", "  "}},
      {"\x01\x02x", {"\x01", "\x02x"}},
      {"\x01\x02", {"\x01\x02"}},
      {"a\xCC\x81"
       "b",
       {"a\xCC\x81"
        "b"}},
      {"", {}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(scanned(c.text), c.pieces) << c.text;
    EXPECT_EQ(matched(c.text), c.pieces) << c.text;
  }
}

TEST(DeepSeekScanner, pieces_are_those_of_the_regexes_in_random_text) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    std::mt19937_64 random(seed);
    const std::string text = without_code_points_of_another_unicode(testing::random_text(random, 1 + random() % 600));
    ASSERT_EQ(scanned(text), matched(text)) << "seed " << seed;
  }
}

TEST(DeepSeekScanner, pieces_are_those_of_the_regexes_in_every_short_text_of_one_character_a_class) {
  static constexpr std::string_view kCharacters[] = {
      "a",   "é", "\xCC\x81", "1",  " ",  "\n",
      "\t",  ".", "—",        "中", "・", "\xE3\x81\x80" /* unassigned, in the CJK range */,
      "\x01"};
  constexpr size_t n = std::size(kCharacters);
  for (size_t code = 0; code < n * n * n * n; ++code) {
    std::string text;
    for (size_t rest = code, i = 0; i < 4; ++i, rest /= n) text += kCharacters[rest % n];
    ASSERT_EQ(scanned(text), matched(text)) << text;
  }
}

TEST(DeepSeekScanner, pieces_are_those_of_the_regexes_in_source_and_prose) {
  for (const char* path : {"src/tokenizer/deepseek_scanner.h", "src/tokenizer/tokenizer_json.cpp", "CMakeLists.txt",
                           "tests/data/tokenizer/tokens.jsonl", "models/v4-tiny/tokenizer.json"}) {
    const std::string text = without_code_points_of_another_unicode(testing::source_file(path));
    ASSERT_EQ(scanned(text), matched(text)) << path;
  }
}

TEST(DeepSeekScanner, long_runs_are_cut_as_the_regexes_say) {
  for (const std::string unit : {" ", "\n", "a", "1", "!", "中", "\xE3\x81\x80", "\x01", " \n", "\xCC\x81", "\u3000"}) {
    std::string run;
    while (run.size() < 6000) run += unit;
    for (const std::string& text : {run, run + "x", "x" + run, run + "1", run + "中", run + "\n"}) {
      ASSERT_EQ(scanned(text), matched(text)) << unit;
    }
  }
}

TEST(DeepSeekScanner, is_used_only_for_exactly_these_regexes) {
  EXPECT_TRUE(PreTokenizer::create(kSplits)->has_scanner());
  EXPECT_FALSE(PreTokenizer::create({})->has_scanner());
  EXPECT_FALSE(PreTokenizer::create({kSplits[0], kSplits[1]})->has_scanner());
  EXPECT_FALSE(PreTokenizer::create({kSplits[1], kSplits[0], kSplits[2]})->has_scanner());
}

}  // namespace
}  // namespace hadal::tokenizer
