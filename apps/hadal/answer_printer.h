// Writes an answer while it is made: text on a stream, the progress of a long prompt on stderr.
//
//   terminal   reasoning dimmed, a blank line, the answer; a tool call as its name and indented arguments
//   pipe       the answer and nothing else; a tool call as one line of JSON; reasoning only when asked for
//
// Escape sequences and other control characters of the model's text do not reach a terminal: a model's output is as
// little trusted as a file from a stranger.
#pragma once

#include <atomic>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/generate.h"
#include "terminal/live_progress.h"
#include "terminal/style.h"

namespace hadal::cli {

struct PrinterOptions {
  bool is_silent = false;  // --json: nothing but progress and notices
  bool shows_reasoning = false;
  bool keeps_tokens = false;  // for their log-probabilities
  TerminalFacts out;
  TerminalFacts err;
  double (*now_s)() = nullptr;
};

class AnswerPrinter final : public GenerationObserver {
 public:
  AnswerPrinter(const PrinterOptions& options, std::FILE* out);

  void prompt_progress(int64_t done, int64_t total) override;
  void token(const Sampled& sampled, bool is_text) override;
  void event(const OutputEvent& event) override;

  // The answer is over: styles reset, the line ended, everything flushed. Io when the stream took less than all.
  Result<void> finish();

  // All tokens so far, if they are kept.
  const std::vector<Sampled>& sampled() const { return sampled_; }

 private:
  enum class Part { kNothing, kReasoning, kContent, kCall };
  void begin(Part part);
  void end_line();
  void write(std::string_view text);  // the model's
  void put(std::string_view text);    // as it is
  void print_call();

  PrinterOptions options_;
  Style style_;
  std::FILE* out_;
  std::atomic<uint64_t> prompt_done_ = 0;  // tokens; the progress reads it from its thread
  std::optional<LiveProgress> progress_;
  Part part_ = Part::kNothing;
  bool is_line_open_ = false;
  Result<void> written_;  // the first failure
  std::string call_name_, call_arguments_;
  std::vector<Sampled> sampled_;
};

}  // namespace hadal::cli
