#include "vanished_file.h"

#include <signal.h>
#include <unistd.h>

#include <cstring>

#include "base/io.h"

namespace hadal::cli {
namespace {

void put(const char* text) {
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text, std::strlen(text));
}

// Only what POSIX allows in a signal handler: write, sigaction, raise, _exit.
void on_sigbus(int signal, siginfo_t* info, void*) {
  const char* path = mapped_file_at(info->si_addr);
  if (path == nullptr) {
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(signal, &standard, nullptr);
    ::raise(signal);
    return;  // the signal is delivered here
  }
  if (::isatty(STDERR_FILENO) == 1) put("\r\033[K\033[0m");  // a progress bar, a style
  put("error: a file in use became shorter, or cannot be read any more\n  in     ");
  put(path);
  put("\n  hint   leave a model's files alone while they are used; if nobody touched them, look at the disk (dmesg)\n");
  ::_exit(1);
}

}  // namespace

void report_vanished_files() {
  struct sigaction action {};
  action.sa_sigaction = on_sigbus;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace hadal::cli
