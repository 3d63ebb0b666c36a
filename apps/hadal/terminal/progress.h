// A progress bar: one line of a terminal that is redrawn in place and leaves nothing behind.
//
//   loading  [=========>          ]  46 %  1.2 GiB/s  3.4 s left
//
// The bar does no I/O and has no clock: it returns what to write, which is nothing when the stream is no terminal, when
// the last drawing is younger than 100 ms, or when it would look the same. The caller writes it to stderr.
#pragma once

#include <cstdint>
#include <string>

#include "terminal/style.h"

namespace hadal {

struct ProgressOptions {
  std::string label;   // "loading", "reading the prompt"
  uint64_t total = 0;  // 0: not known; then there is no bar, only how much and how fast
  enum class Unit { kBytes, kTokens } unit = Unit::kBytes;
};

class ProgressBar {
 public:
  // now_s: seconds of any clock that does not go back; the same one in every call.
  ProgressBar(const ProgressOptions& options, const TerminalFacts& facts, double now_s);

  // What to write when `done` of `total` is finished. The width may change from call to call.
  std::string update(uint64_t done, double now_s, int columns);

  // What to write to take the bar away; empty when none was drawn.
  std::string clear();

 private:
  std::string line(uint64_t done, double now_s, int columns) const;

  ProgressOptions options_;
  bool is_drawn_anywhere_;
  double start_s_;
  double drawn_s_ = 0;
  std::string drawn_;
};

}  // namespace hadal
