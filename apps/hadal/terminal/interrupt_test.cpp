#include "terminal/interrupt.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace hadal {
namespace {

// Runs `body` in a child process; its wait status.
int status_of_child(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(Interrupts, one_press_asks_the_answer_to_stop) {
  Interrupts interrupts;
  EXPECT_FALSE(interrupts.is_stop_requested());
  ::raise(SIGINT);
  EXPECT_TRUE(interrupts.is_stop_requested());
}

TEST(Interrupts, a_command_that_writes_files_stops_at_every_signal_that_ends_it) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const Interrupts interrupts(StopSignals::kAllThatEnd);
    ::raise(signal);
    EXPECT_TRUE(interrupts.is_stop_requested()) << signal;
  }
  const int status = status_of_child([] {
    ::signal(SIGTERM, SIG_DFL);
    const Interrupts interrupts;
    ::raise(SIGTERM);
  });
  ASSERT_TRUE(WIFSIGNALED(status)) << "a chat ends as before";
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

TEST(Interrupts, a_new_answer_forgets_earlier_presses) {
  Interrupts interrupts;
  ::raise(SIGINT);
  interrupts.reset();
  EXPECT_FALSE(interrupts.is_stop_requested());
  ::raise(SIGINT);
  EXPECT_TRUE(interrupts.is_stop_requested()) << "and the next press is a first one";
}

TEST(Interrupts, two_presses_within_a_second_end_the_program_with_130) {
  const int status = status_of_child([] {
    const Interrupts interrupts;
    ::raise(SIGINT);
    ::raise(SIGINT);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
}

TEST(Interrupts, a_press_more_than_a_second_after_the_first_counts_as_a_first_one) {
  constexpr int64_t kSecond = 1'000'000'000;
  EXPECT_FALSE(press_ends_program(std::nullopt, 5 * kSecond));
  EXPECT_TRUE(press_ends_program(5 * kSecond, 6 * kSecond));
  EXPECT_FALSE(press_ends_program(5 * kSecond, 6 * kSecond + 1));
}

TEST(Interrupts, what_handled_sigint_before_handles_it_again_afterwards) {
  const int status = status_of_child([] {
    ::signal(SIGINT, SIG_DFL);
    { const Interrupts interrupts; }
    ::raise(SIGINT);
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGINT);
}

}  // namespace
}  // namespace hadal
