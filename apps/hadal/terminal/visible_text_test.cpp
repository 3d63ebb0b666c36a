#include "terminal/visible_text.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

TEST(VisibleText, text_passes_as_it_is) {
  EXPECT_EQ(without_controls(""), "");
  EXPECT_EQ(without_controls("a\tb\nÄ 海 🐟"), "a\tb\nÄ 海 🐟");
}

TEST(VisibleText, no_escape_sequence_passes) {
  EXPECT_EQ(without_controls("\033]0;title\007x"), "\uFFFD]0;title\uFFFDx");
  EXPECT_EQ(without_controls("\r\b\177"), "\uFFFD\uFFFD\uFFFD");
}

// U+009B is "escape [" in one character.
TEST(VisibleText, eight_bit_controls_do_not_pass_either) {
  EXPECT_EQ(without_controls("\xC2\x9B"
                             "2J"),
            "\uFFFD2J");
}

TEST(VisibleText, broken_bytes_are_replaced) {
  EXPECT_EQ(without_controls("a\xFFz"), "a\uFFFDz");
}

}  // namespace
}  // namespace hadal
