// Cuts text into the pieces that BPE works on: the Split stages of tokenizer.json, as a scanner or as regexes.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokenizer/char_classes.h"
#include "tokenizer/deepseek_scanner.h"
#include "tokenizer/regex.h"

namespace hadal::tokenizer {

// More stages are refused (Limit). DeepSeek has 3, the most in common use is 6.
inline constexpr size_t kSplitsMax = 16;

class PreTokenizer {
 public:
  // kAlwaysRegex is for tests: it leaves out the scanner, so that the two can be compared.
  enum class Use { kScannerWherePossible, kAlwaysRegex };

  // The regexes of the Split stages in order (each with behaviour Isolated). Errors: those of Regex::compile, with the
  // stage as place.
  static Result<PreTokenizer> create(const std::vector<std::string_view>& splits, Use use = Use::kScannerWherePossible);

  bool has_scanner() const { return classes_.has_value(); }

  // Calls piece(std::string_view) for each piece of the text, in order; together they are the text. The text is valid
  // UTF-8.
  template <class Piece>
  void for_each_piece(std::string_view text, Piece&& piece) const {
    if (classes_) {
      DeepSeekScanner scanner(text, *classes_);
      for (std::string_view found = scanner.next(); !found.empty(); found = scanner.next()) piece(found);
      return;
    }
    size_t begin = 0;
    for (const size_t end : split_by_regexes(text)) {
      piece(text.substr(begin, end - begin));
      begin = end;
    }
  }

  uint64_t memory_bytes() const { return classes_ ? classes_->memory_bytes() : 0; }

 private:
  // Where the pieces end.
  std::vector<size_t> split_by_regexes(std::string_view text) const;

  std::optional<CharClasses> classes_;  // of the scanner, when it is used
  std::vector<Regex> regexes_;          // else these, in order
};

}  // namespace hadal::tokenizer
