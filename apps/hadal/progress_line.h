// A progress bar on stderr for work whose length in bytes is known; nothing when stderr is no terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "terminal/progress.h"

namespace hadal::cli {

class ProgressLine {
 public:
  ProgressLine(std::string label, uint64_t total_bytes);
  ~ProgressLine();  // takes the bar away
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void update(uint64_t done_bytes);

 private:
  double now_s() const;

  std::chrono::steady_clock::time_point start_;
  ProgressBar bar_;
};

}  // namespace hadal::cli
