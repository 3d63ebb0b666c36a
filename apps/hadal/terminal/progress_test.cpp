#include "terminal/progress.h"

#include <gtest/gtest.h>

#include <string>

namespace hadal {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

const TerminalFacts kTerminal = terminal_facts(true, 80, "xterm", nullptr);

TEST(ProgressBar, shows_label_bar_percent_rate_and_the_time_that_is_left) {
  ProgressBar bar({.label = "loading", .total = 4 * kGiB}, kTerminal, 10.0);
  EXPECT_EQ(bar.update(1 * kGiB, 12.0, 60), "\rloading  [====>           ]   25 %  512.0 MiB/s  6.0 s left\033[K");
}

TEST(ProgressBar, tells_no_rate_before_it_can_know_one) {
  ProgressBar bar({.label = "loading", .total = 100}, kTerminal, 0.0);
  EXPECT_EQ(bar.update(50, 0.1, 40), "\rloading  [==========>          ]   50 %\033[K");
}

TEST(ProgressBar, counts_tokens_where_no_total_is_known) {
  ProgressBar bar({.label = "reading", .unit = ProgressOptions::Unit::kTokens}, kTerminal, 0.0);
  EXPECT_EQ(bar.update(2500, 2.0, 80), "\rreading  2,500 tokens  1250 tokens/s\033[K");
}

TEST(ProgressBar, shows_how_long_it_has_waited_for_the_first_step) {
  ProgressBar bar({.label = "reading", .total = 100}, kTerminal, 0.0);
  EXPECT_EQ(bar.update(0, 3.0, 40), "\rreading  [>             ]    0 %  3.0 s\033[K");
}

TEST(ProgressBar, is_not_redrawn_within_a_tenth_of_a_second) {
  ProgressBar bar({.label = "x", .total = 100}, kTerminal, 0.0);
  EXPECT_NE(bar.update(1, 1.0, 80), "");
  EXPECT_EQ(bar.update(2, 1.05, 80), "");
  EXPECT_NE(bar.update(3, 1.11, 80), "");
}

TEST(ProgressBar, that_would_look_the_same_is_not_written_again) {
  ProgressBar bar({.label = "x", .total = 100}, kTerminal, 0.0);
  EXPECT_NE(bar.update(50, 0.1, 80), "");
  EXPECT_EQ(bar.update(50, 0.3, 80), "");
}

TEST(ProgressBar, is_taken_away_once) {
  ProgressBar bar({.label = "x", .total = 100}, kTerminal, 0.0);
  EXPECT_EQ(bar.clear(), "");
  bar.update(1, 1.0, 80);
  EXPECT_EQ(bar.clear(), "\r\033[K");
  EXPECT_EQ(bar.clear(), "");
}

TEST(ProgressBar, writes_nothing_to_a_pipe_or_a_dumb_terminal) {
  for (const TerminalFacts& facts :
       {terminal_facts(false, 80, "xterm", nullptr), terminal_facts(true, 80, "dumb", nullptr)}) {
    ProgressBar bar({.label = "x", .total = 100}, facts, 0.0);
    EXPECT_EQ(bar.update(50, 1.0, 80), "");
    EXPECT_EQ(bar.clear(), "");
  }
}

// The visible part of a drawing: without carriage return and erase sequence.
std::string visible(const std::string& drawing) {
  return drawing.substr(1, drawing.size() - 4);
}

TEST(ProgressBar, never_fills_the_line_whatever_the_width) {
  for (int columns = 1; columns < 120; ++columns) {
    ProgressBar bar({.label = "loading", .total = 100}, kTerminal, 0.0);
    const std::string drawing = bar.update(30, 3.0, columns);
    EXPECT_LE(visible(drawing).size(), static_cast<size_t>(std::max(columns - 1, 1))) << columns;
  }
}

TEST(ProgressBar, cuts_a_wide_label_between_characters) {
  ProgressBar bar({.label = "深度求索", .total = 100}, kTerminal, 0.0);
  EXPECT_EQ(visible(bar.update(30, 0.1, 6)), "深度");
}

TEST(ProgressBar, stays_at_a_hundred_percent_when_more_is_done_than_announced) {
  ProgressBar bar({.label = "x", .total = 100}, kTerminal, 0.0);
  EXPECT_NE(bar.update(250, 1.0, 80).find("100 %"), std::string::npos);
}

}  // namespace
}  // namespace hadal
