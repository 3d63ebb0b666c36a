// Regexes under PCRE2, for tokenizers that have no scanner of their own and as the oracle for the one that has.
//
// A regex comes from the model file and may be made to run for ever, so every search is bounded:
//   - a search first sees a window of text and few steps: enough for the words of real text;
//   - where the window or the steps run out, one attempt at that position gets more of both, paid from a budget that
//     grows with the length of the text. A run of one kind of characters of 16 KiB costs about a tenth of the start
//     budget;
//   - when the budget is spent the search finds nothing more, and the rest of the text stays in one piece.
// Total work is thereby linear in the text, at most about 16,000 steps a byte.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hadal::tokenizer {

// A compiled regex: PCRE2 with UTF and Unicode properties, as machine code where the system allows that (SELinux may
// forbid memory that is written and executed), else interpreted. Read-only, so threads may share it.
class Regex {
 public:
  // `regex` is in the dialect of tokenizer.json (regex_dialect.h). Corrupt when it is none, Unsupported when it uses
  // what PCRE2 would understand differently, Limit when it is too long.
  static Result<Regex> compile(std::string_view regex);

  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

 private:
  friend class RegexSearch;
  struct Code;
  explicit Regex(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

// The moving parts of searching with one regex: one per thread and call.
class RegexSearch {
 public:
  // `text_bytes` is what will be searched in all, for the budget. The regex outlives this object.
  RegexSearch(const Regex& regex, size_t text_bytes);
  ~RegexSearch();
  RegexSearch(const RegexSearch&) = delete;
  RegexSearch& operator=(const RegexSearch&) = delete;

  // Cuts valid UTF-8 as a Split with behaviour Isolated does: each match and each stretch between matches is a piece.
  // Appends `offset` + the end of each piece to `ends`. An empty text has no pieces.
  void split(std::string_view text, size_t offset, std::vector<size_t>& ends);

  bool is_exhausted() const { return is_exhausted_; }

 private:
  struct Match {
    size_t begin;
    size_t end;
  };
  enum class Outcome { kMatch, kNone, kMoreText, kMoreSteps, kExhausted };

  std::optional<Match> find(std::string_view text, size_t from);
  // Tries a match within the first window_end bytes of the text, at `from` only when is_anchored.
  Outcome attempt(std::string_view text, size_t from, size_t window_end, uint32_t steps_max, bool is_anchored);
  // Tries a match at `at` with growing windows and steps.
  Outcome attempt_deeply(std::string_view text, size_t at);
  Match found() const;

  const Regex& regex_;
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
  uint64_t budget_steps_;
  bool is_exhausted_ = false;
};

}  // namespace hadal::tokenizer
