#include "terminal/style.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace hadal {
namespace {

TEST(Style, a_pipe_gets_not_one_escape_byte) {
  const Style style(terminal_facts(false, 80, "xterm", nullptr));
  EXPECT_EQ(style.wrap(Tone::kDim, "text"), "text");
  EXPECT_EQ(style.begin(Tone::kRed), "");
  EXPECT_EQ(style.end(), "");
}

TEST(Style, a_terminal_gets_sequences_that_end) {
  const Style style(terminal_facts(true, 80, "xterm-256color", nullptr));
  EXPECT_EQ(style.wrap(Tone::kDim, "text"), "\033[2mtext\033[0m");
  EXPECT_EQ(style.wrap(Tone::kPlain, "text"), "text");
  EXPECT_EQ(style.begin(Tone::kBold), "\033[1m");
}

TEST(Style, no_color_switches_styles_off_and_keeps_motion) {
  const TerminalFacts facts = terminal_facts(true, 80, "xterm", "1");
  EXPECT_FALSE(facts.has_styles);
  EXPECT_TRUE(facts.has_motion);
  EXPECT_TRUE(terminal_facts(true, 80, "xterm", "").has_styles) << "an empty NO_COLOR counts as unset";
}

TEST(Style, a_dumb_or_nameless_terminal_gets_neither) {
  for (const char* term : {"dumb", "", static_cast<const char*>(nullptr)}) {
    const TerminalFacts facts = terminal_facts(true, 80, term, nullptr);
    EXPECT_TRUE(facts.is_terminal);
    EXPECT_FALSE(facts.has_styles);
    EXPECT_FALSE(facts.has_motion);
  }
}

TEST(Style, an_unknown_width_is_eighty_columns) {
  EXPECT_EQ(terminal_facts(true, 0, "xterm", nullptr).columns, 80);
  EXPECT_EQ(terminal_facts(true, 132, "xterm", nullptr).columns, 132);
}

TEST(Style, a_file_is_no_terminal) {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_FALSE(inspect_terminal(fd).is_terminal);
  EXPECT_EQ(terminal_columns(fd), 80);
  ::close(fd);
}

}  // namespace
}  // namespace hadal
