#include "base/utf8.h"

#include <gtest/gtest.h>

namespace hadal::utf8 {
namespace {

TEST(Utf8, every_code_point_survives_a_round_trip) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append(text, c);
    const Decoded d = decode(text);
    ASSERT_TRUE(d.valid && d.code_point == c && d.length == static_cast<int>(text.size())) << std::hex << uint32_t{c};
    ASSERT_TRUE(is_valid(text));
    for (size_t n = 1; n < text.size(); ++n) ASSERT_EQ(incomplete_suffix("x" + text.substr(0, n)), n);
    ASSERT_EQ(incomplete_suffix(text), 0u);
  }
}

TEST(Utf8, broken_bytes_become_one_replacement_per_maximal_subpart) {
  EXPECT_EQ(sanitize("a\xF0\x9F\x98z"), "a\uFFFDz");
  EXPECT_EQ(sanitize("\xC0\x80"), "\uFFFD\uFFFD");
  EXPECT_EQ(sanitize("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(sanitize("\xE4\xB8"), "\uFFFD");
  EXPECT_EQ(sanitize("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
}

TEST(Utf8, front_ends_at_a_whole_character) {
  EXPECT_EQ(front("aé", 3), "aé");
  EXPECT_EQ(front("aé", 2), "a");
  EXPECT_EQ(front("é", 1), "");
}

TEST(Utf8, bytes_that_can_never_become_a_character_are_not_held_back) {
  EXPECT_EQ(incomplete_suffix("\xC0"), 0u);
  EXPECT_EQ(incomplete_suffix("\xED\xA0"), 0u);
  EXPECT_EQ(incomplete_suffix("\xE4\xB8\xAD"), 0u);
  EXPECT_EQ(incomplete_suffix("\x80"), 0u);
  EXPECT_EQ(incomplete_suffix(""), 0u);
}

}  // namespace
}  // namespace hadal::utf8
