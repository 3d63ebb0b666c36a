#include "tokenizer/added_tokens.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace hadal::tokenizer {
namespace {

// The text with each token as [id].
std::string marked(const AddedTokenFinder& finder, std::string_view text) {
  std::string out;
  finder.split(
      text, [&](std::string_view plain) { out += plain; }, [&](TokenId id) { out += "[" + std::to_string(id) + "]"; });
  return out;
}

TEST(AddedTokens, the_leftmost_then_longest_match_wins) {
  AddedTokenFinder finder;
  finder.add("ab", 1, false);
  finder.add("abcd", 2, false);
  finder.add("bcde", 3, false);
  EXPECT_EQ(marked(finder, "abcde"), "[2]e");
  EXPECT_EQ(marked(finder, "abce"), "[1]ce");
  EXPECT_EQ(marked(finder, "xbcde"), "x[3]");
  EXPECT_EQ(marked(finder, "abab"), "[1][1]");
  EXPECT_EQ(marked(finder, "a"), "a");
  EXPECT_EQ(marked(finder, ""), "");
}

TEST(AddedTokens, normalized_ones_are_looked_for_in_what_the_others_leave) {
  AddedTokenFinder finder;
  finder.add("bc", 1, false);
  finder.add("abcd", 2, true);
  finder.add("a", 3, true);
  EXPECT_EQ(marked(finder, "abcd"), "[3][1]d");
  EXPECT_EQ(finder.find("abcd"), 2);
  EXPECT_EQ(finder.find("bc"), 1);
  EXPECT_EQ(finder.find("b"), std::nullopt);
  EXPECT_EQ(finder.find("bcd"), std::nullopt);
}

// The definition, by looking at every token at every place.
std::string marked_slowly(const std::vector<std::string>& contents, std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t best = contents.size();
    for (size_t i = 0; i < contents.size(); ++i) {
      const bool is_longer = best == contents.size() || contents[i].size() > contents[best].size();
      if (text.substr(at).starts_with(contents[i]) && is_longer) best = i;
    }
    if (best == contents.size()) {
      out += text[at++];
    } else {
      out += "[" + std::to_string(best) + "]";
      at += contents[best].size();
    }
  }
  return out;
}

TEST(AddedTokens, found_tokens_are_those_of_the_definition) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    std::mt19937_64 random(seed);
    const auto word = [&](size_t length_max) {
      std::string w;
      for (size_t n = 1 + random() % length_max; n > 0; --n) w += static_cast<char>('a' + random() % 2);
      return w;
    };
    std::vector<std::string> contents;
    AddedTokenFinder finder;
    for (int i = 0; i < 6; ++i) {
      const std::string content = word(5);
      if (finder.find(content)) continue;
      finder.add(content, static_cast<TokenId>(contents.size()), false);
      contents.push_back(content);
    }
    const std::string text = word(60);
    ASSERT_EQ(marked(finder, text), marked_slowly(contents, text)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace hadal::tokenizer
