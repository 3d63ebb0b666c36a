#include "terminal/interrupt.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "base/check.h"

namespace hadal {
namespace {

constexpr int64_t kTwiceWithinNs = 1'000'000'000;
constexpr int kExitInterrupted = 130;  // 128 + SIGINT, what a shell reports

// A signal handler can reach nothing but globals; lock-free atomics are the ones that it may touch.
std::atomic<bool> g_is_handled{false};
std::atomic<int64_t> g_pressed_ns{0};  // when the answer was asked to stop; 0: it was not
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free);

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
// Written before the handler is in place and after it is gone.
std::array<struct sigaction, kSignals.size()> g_previous;

size_t n_handled(StopSignals signals) {
  return signals == StopSignals::kCtrlC ? 1 : kSignals.size();
}

int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);  // async-signal-safe (POSIX.1-2008, 2.4.3)
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void leave_at_once() {
  if (::isatty(STDOUT_FILENO) == 1) {
    constexpr char kReset[] = "\033[0m\n";
    [[maybe_unused]] const ssize_t n = ::write(STDOUT_FILENO, kReset, sizeof kReset - 1);
  }
  ::_exit(kExitInterrupted);
}

void on_signal(int) {
  const int errno_before = errno;
  const int64_t now_ns = monotonic_ns();
  const int64_t asked_ns = g_pressed_ns.exchange(now_ns);
  if (press_ends_program(asked_ns == 0 ? std::nullopt : std::optional(asked_ns), now_ns)) leave_at_once();
  errno = errno_before;
}

}  // namespace

bool press_ends_program(std::optional<int64_t> asked_ns, int64_t now_ns) {
  return asked_ns.has_value() && now_ns - *asked_ns <= kTwiceWithinNs;
}

Interrupts::Interrupts(StopSignals signals) : signals_(signals) {
  HADAL_CHECK(!g_is_handled.exchange(true), "one object handles Ctrl-C at a time");
  reset();
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;  // reads and writes of other code need not know of it
  ::sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < n_handled(signals_); ++i) ::sigaction(kSignals[i], &action, &g_previous[i]);
}

Interrupts::~Interrupts() {
  for (size_t i = 0; i < n_handled(signals_); ++i) ::sigaction(kSignals[i], &g_previous[i], nullptr);
  g_is_handled.store(false);
}

void Interrupts::reset() {
  g_pressed_ns.store(0);
}

bool Interrupts::is_stop_requested() const {
  return g_pressed_ns.load(std::memory_order_relaxed) != 0;
}

}  // namespace hadal
