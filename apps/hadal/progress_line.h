// A progress bar on stderr for work whose length is known; nothing when stderr is no terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "terminal/progress.h"

namespace hadal::cli {

class ProgressLine {
 public:
  ProgressLine(std::string label, uint64_t total, ProgressOptions::Unit unit = ProgressOptions::Unit::kBytes);
  ~ProgressLine();  // takes the bar away
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void update(uint64_t done);

 private:
  double now_s() const;

  std::chrono::steady_clock::time_point start_;
  ProgressBar bar_;
};

}  // namespace hadal::cli
