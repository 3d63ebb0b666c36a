// Runs the real `hadal` for a test: with pipes, or at a pseudo-terminal.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "testing/temp_folder.h"

namespace hadal::test {

struct Finished {
  int exit_code = -1;  // minus the signal's number when one ended it
  std::string out;
  std::string err;
};

// A program never runs longer than this: SIGALRM ends it. Sanitized builds on a busy machine need most of it.
inline constexpr unsigned kProgramSecondsMax = 240;

// Runs hadal with these arguments in the folder, which is its home as well. `input` comes through a pipe and is at most
// 60,000 bytes, so that it fits the pipe.
Finished run_hadal(const TempFolder& folder, const std::vector<std::string>& arguments, const std::string& input = "");

// hadal at a terminal of its own, 100 columns wide.
class Terminal {
 public:
  Terminal(const TempFolder& folder, const std::vector<std::string>& arguments);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(const std::string& keys);
  // Reads until the screen's text holds `text` behind what earlier calls found; false when the program ends or the time
  // is over before.
  bool wait_for(const std::string& text);
  // Reads to the end and returns the exit code.
  int finish();
  // All that was written, escape sequences included.
  const std::string& written() const { return written_; }

 private:
  bool read_some();

  int fd_ = -1;
  pid_t pid_ = -1;
  std::string written_;
  size_t seen_ = 0;
};

}  // namespace hadal::test
