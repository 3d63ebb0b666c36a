#include "cli/program.h"

#include <fcntl.h>
#include <sys/resource.h>
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

// Exit code and peak memory.
Finished wait_for(pid_t pid) {
  int status = 0;
  rusage usage{};
  while (::wait4(pid, &status, 0, &usage) < 0) HADAL_CHECK(errno == EINTR, "wait4", errno);
  return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
          .out = "",
          .err = "",
          .peak_rss_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024};
}

void limit(__rlimit_resource resource, uint64_t bytes) {
  const rlimit value{bytes, bytes};
  if (bytes > 0 && ::setrlimit(resource, &value) != 0) ::_exit(125);
}

}  // namespace

void become_hadal(const TempFolder& folder, const std::vector<std::string>& arguments) {
  std::string binary = HADAL_BINARY;
  std::vector<char*> argv = {binary.data()};
  std::vector<std::string> copies = arguments;
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::setenv("HOME", folder.path().c_str(), 1);
  ::setenv("XDG_STATE_HOME", (folder / "state").c_str(), 1);
  ::setenv("XDG_DATA_HOME", (folder / "data").c_str(), 1);
  for (const char* setting : {"HADAL_MODELS", "HADAL_HUB", "HADAL_HUB_MIRROR", "HF_ENDPOINT"}) ::unsetenv(setting);
  ::setenv("TERM", "xterm", 1);
  ::unsetenv("NO_COLOR");
  if (::chdir(folder.path().c_str()) != 0) ::_exit(126);
  ::alarm(kProgramSecondsMax);  // survives exec
  ::execv(binary.c_str(), argv.data());
  ::_exit(127);
}

Finished run_hadal(const TempFolder& folder, const std::vector<std::string>& arguments, const std::string& input) {
  return run_hadal_within({}, folder, arguments, input);
}

Finished run_hadal_within(const ProgramLimits& limits, const TempFolder& folder,
                          const std::vector<std::string>& arguments, const std::string& input) {
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
    limit(RLIMIT_FSIZE, limits.file_bytes);
    limit(RLIMIT_DATA, limits.data_bytes);
    become_hadal(folder, arguments);
  }
  ::close(in[0]);
  // A program that does not read its input is no error of the test.
  const auto previous = std::signal(SIGPIPE, SIG_IGN);
  [[maybe_unused]] const ssize_t n = ::write(in[1], input.data(), input.size());
  std::signal(SIGPIPE, previous);
  ::close(in[1]);
  Finished finished = wait_for(pid);
  finished.out = contents(out);
  finished.err = contents(err);
  return finished;
}

}  // namespace hadal::test
