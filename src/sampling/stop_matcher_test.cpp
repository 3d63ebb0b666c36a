#include "sampling/stop_matcher.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sampling/philox.h"

namespace hadal {
namespace {

StopMatcher matcher_for(const std::vector<std::string>& stops) {
  return StopMatcher::create(stops).value();
}

struct Cut {
  std::string text;
  int matched = -1;
  friend bool operator==(const Cut&, const Cut&) = default;
};

// The definition: look at each end of the text in turn, and there at the longest stop string first.
Cut cut_by_definition(const std::vector<std::string>& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    int matched = -1;
    for (size_t i = 0; i < stops.size(); ++i) {
      const bool is_longest = matched < 0 || stops[i].size() > stops[static_cast<size_t>(matched)].size();
      if (is_longest && std::string_view(text).substr(0, end).ends_with(stops[i])) matched = static_cast<int>(i);
    }
    if (matched >= 0) return {text.substr(0, end - stops[static_cast<size_t>(matched)].size()), matched};
  }
  return {text, -1};
}

TEST(StopMatcher, text_is_cut_before_the_stop_string) {
  StopMatcher matcher = matcher_for({"\nUser:"});
  EXPECT_EQ(matcher.push("Hello.\nUs"), "Hello.");
  EXPECT_EQ(matcher.held_bytes(), 3u);
  EXPECT_EQ(matcher.push("er: and more"), "");
  EXPECT_TRUE(matcher.has_matched());
  EXPECT_EQ(matcher.push("later"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, what_only_began_like_a_stop_string_is_released) {
  StopMatcher matcher = matcher_for({"END"});
  EXPECT_EQ(matcher.push("the EN"), "the ");
  EXPECT_EQ(matcher.push("EMY"), "ENEMY");
  EXPECT_EQ(matcher.push(" E"), " ");
  EXPECT_EQ(matcher.finish(), "E");
  EXPECT_FALSE(matcher.has_matched());
}

TEST(StopMatcher, the_string_that_is_complete_first_wins_and_of_those_the_longest) {
  StopMatcher matcher = matcher_for({"bcd", "c"});
  EXPECT_EQ(matcher.push("abcd"), "ab");
  EXPECT_EQ(matcher.matched(), 1);
  StopMatcher longest = matcher_for({"c", "bc"});
  EXPECT_EQ(longest.push("abcd"), "a");
  EXPECT_EQ(longest.matched(), 1);
}

TEST(StopMatcher, without_stop_strings_all_text_passes_at_once) {
  StopMatcher matcher = matcher_for({});
  EXPECT_EQ(matcher.push("abc"), "abc");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, any_split_of_any_text_gives_the_same_cut) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    uint64_t n_drawn = 0;
    const auto below = [&](uint64_t n) { return random_bits(seed, n_drawn++) % n; };
    const auto word = [&](uint64_t n) {
      std::string text;
      for (uint64_t i = 0; i < n; ++i) text += static_cast<char>('a' + below(2));
      return text;
    };
    std::vector<std::string> stops(1 + below(3));
    for (std::string& stop : stops) stop = word(1 + below(6));
    const std::string text = word(below(40));
    StopMatcher matcher = matcher_for(stops);
    Cut cut;
    for (size_t at = 0; at < text.size();) {
      const size_t n = below(5);
      cut.text += matcher.push(std::string_view(text).substr(at, n));
      at += n;
    }
    cut.text += matcher.finish();
    cut.matched = matcher.matched();
    ASSERT_EQ(cut, cut_by_definition(stops, text)) << "seed " << seed << " text " << text;
  }
}

TEST(StopMatcher, stop_strings_beyond_the_limits_are_refused_by_index) {
  const Result<StopMatcher> many = StopMatcher::create(std::vector<std::string>(17, "x"));
  ASSERT_FALSE(many.ok());
  EXPECT_EQ(many.error().what, "too many stop strings");
  EXPECT_EQ(many.error().found, "17");

  const Result<StopMatcher> longer = StopMatcher::create({"x", std::string(1025, 'x')});
  ASSERT_FALSE(longer.ok());
  EXPECT_EQ(longer.error().in, "stop[1]");
  EXPECT_EQ(longer.error().what, "stop string is too long");
  EXPECT_TRUE(StopMatcher::create({std::string(1024, 'x')}).ok());

  const Result<StopMatcher> empty = StopMatcher::create({""});
  ASSERT_FALSE(empty.ok());
  EXPECT_EQ(empty.error().what, "stop string is empty");

  const Result<StopMatcher> broken = StopMatcher::create({"\xC3"});
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().what, "stop string is not UTF-8");
}

}  // namespace
}  // namespace hadal
