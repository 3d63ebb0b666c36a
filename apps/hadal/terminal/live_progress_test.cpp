#include "terminal/live_progress.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>

#include "clock.h"
#include "testing/pseudo_terminal.h"

namespace hadal {
namespace {

using test::PseudoTerminal;

TEST(LiveProgress, moves_while_the_work_says_nothing_and_leaves_no_trace) {
  PseudoTerminal terminal([](int) {
    std::atomic<uint64_t> n_calls = 0;
    const LiveProgress progress({.label = "waiting", .total = 1000}, inspect_terminal(STDERR_FILENO), cli::now_s,
                                [&] { return ++n_calls; });
    // Silent work: it only ever looks at a counter.
    while (n_calls < 3) std::this_thread::yield();
    return 0;
  });
  EXPECT_TRUE(terminal.shows("\rwaiting  [>"));
  EXPECT_TRUE(terminal.shows("\rwaiting  [>"));
  EXPECT_TRUE(terminal.shows("\r\033[K"));
  EXPECT_EQ(terminal.exit_status(), 0);
  EXPECT_EQ(terminal.shown(), "");
}

TEST(LiveProgress, asks_nothing_and_starts_no_thread_without_a_terminal) {
  bool was_asked = false;
  {
    const LiveProgress progress({.label = "waiting"}, terminal_facts(false, 80, "xterm", nullptr), cli::now_s, [&] {
      was_asked = true;
      return uint64_t{0};
    });
  }
  EXPECT_FALSE(was_asked);
}

}  // namespace
}  // namespace hadal
