#include "tokenizer/regex.h"

#include <gtest/gtest.h>

#include <string>

#include "tokenizer/regex_dialect.h"

namespace hadal::tokenizer {
namespace {

struct Split {
  std::vector<std::string> pieces;
  bool is_exhausted;
};

Split split(std::string_view regex, std::string_view text) {
  const Result<Regex> compiled = Regex::compile(regex);
  EXPECT_TRUE(compiled.ok()) << compiled.error().to_string();
  RegexSearch search(*compiled, text.size());
  std::vector<size_t> ends;
  search.split(text, 0, ends);
  Split result{{}, search.is_exhausted()};
  size_t begin = 0;
  for (const size_t end : ends) {
    result.pieces.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return result;
}

using Pieces = std::vector<std::string>;

TEST(Regex, matches_and_what_lies_between_are_pieces) {
  EXPECT_EQ(split("\\d+", "ab12c3").pieces, (Pieces{"ab", "12", "c", "3"}));
  EXPECT_EQ(split("\\d+", "").pieces, Pieces{});
  EXPECT_EQ(split("x", "abc").pieces, Pieces{"abc"});
  EXPECT_EQ(split("é", "aéé").pieces, (Pieces{"a", "é", "é"}));
}

TEST(Regex, empty_matches_cut_but_do_not_stand_still) {
  EXPECT_EQ(split("x*", "aéc").pieces, (Pieces{"a", "é", "c"}));
  EXPECT_EQ(split("x*", "axxb").pieces, (Pieces{"a", "xx", "b"}));
  EXPECT_EQ(split("(?=b)", "abb").pieces, (Pieces{"a", "b", "b"}));
}

TEST(Regex, white_space_is_unicodes_and_not_perls) {
  EXPECT_EQ(split("\\s", "a\u0085b\u180Ec\uFEFFd\u3000e").pieces,
            (Pieces{"a", "\u0085", "b\u180Ec\uFEFFd", "\u3000", "e"}));
  EXPECT_EQ(split("[^\\S]", "a\u180E b").pieces, (Pieces{"a\u180E", " ", "b"}));
}

TEST(Regex, a_dot_is_anything_but_a_line_feed) {
  EXPECT_EQ(split(".+", "a\rb\nc").pieces, (Pieces{"a\rb", "\n", "c"}));
}

TEST(Regex, matches_longer_than_the_window_are_whole) {
  for (const size_t length : std::initializer_list<size_t>{250, 255, 256, 257, 1024, 5000, 16384}) {
    const std::string run(length, 'a');
    EXPECT_EQ(split("a+", "b" + run + "b").pieces, (Pieces{"b", run, "b"})) << length;
    EXPECT_EQ(split("a+(?=b)", run + "b").pieces, (Pieces{run, "b"})) << length;
    EXPECT_EQ(split("a+(?!b)", run + "b").pieces, (Pieces{run.substr(1), "ab"})) << length;
    EXPECT_EQ(split("b", run + "b").pieces, (Pieces{run, "b"})) << length;
  }
}

TEST(Regex, a_lookahead_does_not_take_the_window_for_the_text) {
  const std::string text(2000, 'a');
  EXPECT_EQ(split("(?!a)", text).pieces, Pieces{text});
  EXPECT_EQ(split("(?<=b)(?!a)|x", text).pieces, Pieces{text});
}

TEST(Regex, a_search_that_would_never_end_gives_up_and_leaves_the_rest_whole) {
  const std::string text(size_t{1} << 18, 'a');
  for (const char* regex :
       {"a*[bc]", "(?:a+)+[bc]", "(?:a|a)*[bc]", "a*a*a*a*[bc]", "(?=a*a*[bc])a", "(?:a?){40}a{40}[bc]"}) {
    const Split result = split(regex, text);
    EXPECT_EQ(result.pieces, Pieces{text}) << regex;
    EXPECT_TRUE(result.is_exhausted) << regex;
  }
}

TEST(Regex, constructs_that_oniguruma_reads_differently_are_refused) {
  for (const char* regex :
       {"^a",      "a$",    "\\bx",   "\\Bx",   "\\w",     "\\W",    "\\h",     "\\v",          "\\R",   "\\X",
        "\\A",     "\\z",   "\\G",    "\\K",    "\\1",     "\\x41",  "\\u0041", "\\x{1234567}", "\\x{}", "\\p{Han}",
        "\\p{^L}", "\\pL",  "\\p{L",  "\\p",    "\\",      "[a[b]]", "[a&&b]",  "[[:alpha:]]",  "[]a]",  "[^]a]",
        "[a",      "(?i)a", "(?i:a)", "(?m:.)", "(?<n>a)", "(?R)",   "(?1)",    "(*FAIL)",      "(?#c)", "a{2}+",
        "a{2}?",   "a{,3}", "a{",     "a{x}",   "a{1234}", "a{1,2"}) {
    const Result<Regex> compiled = Regex::compile(regex);
    ASSERT_FALSE(compiled.ok()) << regex;
    EXPECT_EQ(compiled.error().code, ErrorCode::kUnsupported) << regex;
    EXPECT_NE(compiled.error().in.find("byte "), std::string::npos) << regex;
  }
}

TEST(Regex, what_is_no_regex_is_refused) {
  for (const char* regex : {"(", ")", "*a", "a**+*", "[z-a]", "\\x{110000}", "(?<=a+)b", "a{3,2}", "\\x{d800}"}) {
    const Result<Regex> compiled = Regex::compile(regex);
    ASSERT_FALSE(compiled.ok()) << regex;
    EXPECT_EQ(compiled.error().code, ErrorCode::kCorrupt) << regex << compiled.error().to_string();
  }
}

TEST(Regex, length_and_depth_are_limited) {
  EXPECT_TRUE(Regex::compile(std::string(kRegexBytesMax, 'a')).ok());
  EXPECT_EQ(Regex::compile(std::string(kRegexBytesMax + 1, 'a')).error().code, ErrorCode::kLimit);
  EXPECT_FALSE(Regex::compile(std::string(100, '(') + "a" + std::string(100, ')')).ok());
  EXPECT_FALSE(Regex::compile("(?:(?:(?:a{999}){999}){999}){999}").ok());
}

}  // namespace
}  // namespace hadal::tokenizer
