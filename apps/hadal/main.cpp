// hadal: one binary. Parses the command line, runs one subcommand, prints errors in the form of base/result.h.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <new>
#include <string_view>
#include <system_error>

#include "command_line.h"
#include "terminal/output.h"
#include "vanished_file.h"

namespace {

using hadal::Error;
using hadal::ErrorCode;
using hadal::Result;

// The border where exceptions of libraries end: the standard library has no other way to say that memory or threads
// cannot be had, and {fmt} none to say that standard output takes no more.
Result<int> run(const hadal::cli::Action& action) {
  try {
    HADAL_ASSIGN(const int exit_code, action());
    HADAL_TRY(hadal::write_output(stdout, ""));  // what is still in its buffer
    return exit_code;
  } catch (const std::bad_alloc&) {
    return Error{.code = ErrorCode::kOutOfMemory,
                 .what = "not enough memory",
                 .in = "",
                 .want = "",
                 .found = "the system refused more",
                 .hint = "close other programs, or raise the limit (ulimit -v, ulimit -d)"};
  } catch (const std::system_error& error) {
    return Error{.code = ErrorCode::kIo,
                 .what = "the system refused what the program needs",
                 .in = "",
                 .want = "",
                 .found = error.what(),
                 .hint = ""};
  }
}

// A file that is opened later must not become the standard output of a program that was started without one. What is
// written to such a stream fails, as it would have; what is read is at its end.
void occupy_closed_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY) != fd) std::_Exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  // A file beyond `ulimit -f` is an error of write(), which then takes the file away, and not the end of the program.
  std::signal(SIGXFSZ, SIG_IGN);
  occupy_closed_streams();
  hadal::cli::report_vanished_files();
  CLI::App app("Runs DeepSeek-V4-generation language models on the machine you have.", "hadal");
  hadal::cli::Action action;
  hadal::cli::declare_commands(app, action);
  // Known before parsing comes to an end, which it may not.
  const bool as_json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version) == 0 && std::cout.flush() ? 0 : 1;
  } catch (const CLI::ParseError& error) {
    const Error usage = hadal::cli::usage_error(app, error, argc, argv);
    hadal::write_notice(argc == 1 ? app.help() : hadal::cli::error_text(usage, as_json));
    return 2;
  }
  const Result<int> result = run(action);
  if (!result.ok()) {
    hadal::write_notice(hadal::cli::error_text(result.error(), as_json));
    return 1;
  }
  return *result;
}
