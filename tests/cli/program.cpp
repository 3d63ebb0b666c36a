#include "cli/program.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>

#include "base/check.h"

namespace hadal::test {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// In the child: the environment that a test sees, then the program.
[[noreturn]] void become_hadal(const TempFolder& folder, const std::vector<std::string>& arguments) {
  std::string binary = HADAL_BINARY;
  std::vector<char*> argv = {binary.data()};
  std::vector<std::string> copies = arguments;
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::setenv("HOME", folder.path().c_str(), 1);
  ::setenv("XDG_STATE_HOME", (folder / "state").c_str(), 1);
  ::setenv("TERM", "xterm", 1);
  ::unsetenv("NO_COLOR");
  if (::chdir(folder.path().c_str()) != 0) ::_exit(126);
  ::alarm(kProgramSecondsMax);  // survives exec
  ::execv(binary.c_str(), argv.data());
  ::_exit(127);
}

int exit_code_of(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) HADAL_CHECK(errno == EINTR, "waitpid", errno);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

Finished run_hadal(const TempFolder& folder, const std::vector<std::string>& arguments, const std::string& input) {
  HADAL_CHECK(input.size() <= 60'000, "input for the pipe", input.size());
  std::array<int, 2> in{};
  HADAL_CHECK(::pipe(in.data()) == 0, "pipe", errno);
  const std::string out = folder / "stdout.txt";
  const std::string err = folder / "stderr.txt";
  const pid_t pid = ::fork();
  HADAL_CHECK(pid >= 0, "fork", errno);
  if (pid == 0) {
    ::dup2(in[0], STDIN_FILENO);
    ::close(in[0]);
    ::close(in[1]);
    ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
    ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
    become_hadal(folder, arguments);
  }
  ::close(in[0]);
  // A program that does not read its input is no error of the test.
  const auto previous = std::signal(SIGPIPE, SIG_IGN);
  [[maybe_unused]] const ssize_t n = ::write(in[1], input.data(), input.size());
  std::signal(SIGPIPE, previous);
  ::close(in[1]);
  const int exit_code = exit_code_of(pid);
  return {.exit_code = exit_code, .out = contents(out), .err = contents(err)};
}

Terminal::Terminal(const TempFolder& folder, const std::vector<std::string>& arguments) {
  winsize size{};
  size.ws_row = 40;
  size.ws_col = 100;
  pid_ = ::forkpty(&fd_, nullptr, nullptr, &size);
  HADAL_CHECK(pid_ >= 0, "forkpty", errno);
  if (pid_ == 0) become_hadal(folder, arguments);
}

Terminal::~Terminal() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    exit_code_of(pid_);
  }
  ::close(fd_);
}

void Terminal::type(const std::string& keys) {
  HADAL_CHECK(::write(fd_, keys.data(), keys.size()) == static_cast<ssize_t>(keys.size()), "write", errno);
}

bool Terminal::read_some() {
  pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, static_cast<int>(kProgramSecondsMax) * 1000) <= 0) return false;
  std::array<char, 4096> bytes{};
  const ssize_t n = ::read(fd_, bytes.data(), bytes.size());
  if (n <= 0) return false;  // EIO: the program has closed its side
  written_.append(bytes.data(), static_cast<size_t>(n));
  return true;
}

bool Terminal::wait_for(const std::string& text) {
  while (true) {
    const size_t found = written_.find(text, seen_);
    if (found != std::string::npos) {
      seen_ = found + text.size();
      return true;
    }
    if (!read_some()) return false;
  }
}

int Terminal::finish() {
  while (read_some()) {
  }
  const int exit_code = exit_code_of(pid_);
  pid_ = -1;
  return exit_code;
}

}  // namespace hadal::test
