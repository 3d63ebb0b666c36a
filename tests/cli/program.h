// Runs the real `hadal` for a test.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "testing/temp_folder.h"

namespace hadal::test {

struct Finished {
  int exit_code = -1;  // minus the signal's number when one ended it
  std::string out;
  std::string err;
  uint64_t peak_rss_bytes = 0;
};

// What the program may have (setrlimit); 0: no limit.
struct ProgramLimits {
  uint64_t file_bytes = 0;  // longest file: as if the disk were full beyond it
  uint64_t data_bytes = 0;  // memory of its own
};

// A program never runs longer than this: SIGALRM ends it. Sanitized builds on a busy machine need most of it.
inline constexpr unsigned kProgramSecondsMax = 240;

// Runs hadal with these arguments in the folder, which is its home as well. `input` comes through a pipe and is at most
// 60,000 bytes, so that it fits the pipe.
Finished run_hadal(const TempFolder& folder, const std::vector<std::string>& arguments, const std::string& input = "");

// The same under limits.
Finished run_hadal_within(const ProgramLimits& limits, const TempFolder& folder,
                          const std::vector<std::string>& arguments, const std::string& input = "");

// In a child process (testing/pseudo_terminal.h): becomes hadal with that folder as home.
[[noreturn]] void become_hadal(const TempFolder& folder, const std::vector<std::string>& arguments);

}  // namespace hadal::test
