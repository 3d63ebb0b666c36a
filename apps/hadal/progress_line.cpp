#include "progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace hadal::cli {

ProgressLine::ProgressLine(std::string label, uint64_t total, ProgressOptions::Unit unit)
    : start_(std::chrono::steady_clock::now()),
      bar_({.label = std::move(label), .total = total, .unit = unit}, inspect_terminal(STDERR_FILENO), 0) {}

ProgressLine::~ProgressLine() {
  std::fputs(bar_.clear().c_str(), stderr);
}

void ProgressLine::update(uint64_t done) {
  std::fputs(bar_.update(done, now_s(), terminal_columns(STDERR_FILENO)).c_str(), stderr);
}

double ProgressLine::now_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

}  // namespace hadal::cli
