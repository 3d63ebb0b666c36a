// A child process at a terminal of its own, for tests of what people see and type.
//
// The child runs a function with the terminal as standard input, output and error; what it reports goes through a pipe,
// line by line, so that a test need not find it among escape sequences. Every wait has a deadline and no sleep.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

namespace hadal::testing {

class PseudoTerminal {
 public:
  // The child calls body(fd), writes lines to fd, and exits with what body returns.
  explicit PseudoTerminal(const std::function<int(int)>& body, const char* term = "xterm") {
    int report[2];
    if (::pipe(report) != 0) std::abort();
    winsize size{};
    size.ws_row = 24;
    size.ws_col = 80;
    child_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
    if (child_ < 0) std::abort();
    if (child_ == 0) {
      ::close(report[0]);
      ::setenv("TERM", term, 1);
      ::unsetenv("NO_COLOR");
      ::_exit(body(report[1]));
    }
    ::close(report[1]);
    report_ = report[0];
    ::fcntl(terminal_, F_SETFL, O_NONBLOCK);
    ::fcntl(report_, F_SETFL, O_NONBLOCK);
  }

  ~PseudoTerminal() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    ::close(terminal_);
    ::close(report_);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  // Types bytes; reads what the child shows meanwhile, or both sides would wait for each other.
  void type(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(terminal_, bytes.data(), bytes.size());
      if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
      if (!bytes.empty() && !wait(POLLOUT)) return;
    }
  }

  // Waits until the child has shown `text` since the last call, and forgets all up to its end. False at the deadline.
  bool shows(std::string_view text) {
    while (true) {
      const size_t at = shown_.find(text);
      if (at != std::string::npos) {
        shown_.erase(0, at + text.size());
        return true;
      }
      if (!wait(0)) return false;
    }
  }

  // The next line that the child reports; "(nothing)" at the deadline or when it has ended.
  std::string reported() {
    while (true) {
      const size_t end = reported_.find('\n');
      if (end != std::string::npos) {
        std::string line = reported_.substr(0, end);
        reported_.erase(0, end + 1);
        return line;
      }
      if (!wait(0)) return "(nothing)";
    }
  }

  // What was shown and not yet waited for.
  const std::string& shown() const { return shown_; }

  // Whether the terminal is in the mode of a shell: it echoes, gives whole lines, and Ctrl-C sends a signal.
  bool is_cooked() const {
    termios modes{};
    constexpr tcflag_t kCooked = ICANON | ECHO | ISIG;
    return ::tcgetattr(terminal_, &modes) == 0 && (modes.c_lflag & kCooked) == kCooked;
  }

  void send_signal(int signal) const { ::kill(child_, signal); }

  // Waits for the end of the child: its exit status, or 128 + signal. A child that does not end is killed.
  int exit_status() {
    while (wait(0)) {
    }
    if (!is_terminal_closed_ || !is_report_closed_) ::kill(child_, SIGKILL);
    int status = 0;
    ::waitpid(child_, &status, 0);
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  static constexpr int kDeadlineMs = 20000;  // a loaded machine under a sanitizer needs seconds

  // Waits for anything from the child, and takes it in. False at the deadline and when the child has closed everything.
  bool wait(short terminal_events) {
    pollfd sources[2] = {{terminal_, static_cast<short>(POLLIN | terminal_events), 0}, {report_, POLLIN, 0}};
    if (is_terminal_closed_) sources[0].fd = -1;
    if (is_report_closed_) sources[1].fd = -1;
    if (is_terminal_closed_ && is_report_closed_) return false;
    if (::poll(sources, 2, kDeadlineMs) <= 0) return false;
    if ((sources[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) is_terminal_closed_ = !take(terminal_, shown_);
    if ((sources[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) is_report_closed_ = !take(report_, reported_);
    return true;
  }

  // False at the end.
  static bool take(int fd, std::string& text) {
    char bytes[4096];
    const ssize_t n = ::read(fd, bytes, sizeof bytes);
    if (n > 0) text.append(bytes, static_cast<size_t>(n));
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
  }

  pid_t child_ = -1;
  int terminal_ = -1;
  int report_ = -1;
  bool is_terminal_closed_ = false;
  bool is_report_closed_ = false;
  std::string shown_;
  std::string reported_;
};

}  // namespace hadal::testing
