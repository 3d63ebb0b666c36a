// DeepSeek's pre-tokenizer as a hand-written scanner: cuts text into the pieces that BPE works on.
//
// It does in one pass what three Split stages (behaviour Isolated) do, each on every piece of the former one:
//
//   1.  \p{N}{1,3}
//   2.  [一-龥぀-ゟ゠-ヿ]+
//   3.  [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+     "word"
//       |[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+               "letters", with one character before them
//       | ?[\p{P}\p{S}]+[\r\n]*                             "symbols"
//       |\s*[\r\n]+|\s+(?!\S)|\s+                           "space"
//
// Stages 1 and 2 cut the text into segments: up to three numbers, a run of the CJK range, or what lies between.
// Stage 3 never looks beyond its segment, so for it a segment's end is the end of the text.
//
// Source: pre_tokenizer of tokenizer.json of DeepSeek-V3 and V4. Tested to be equal to PCRE2 running these regexes.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "tokenizer/char_classes.h"

namespace hadal::tokenizer {

// The three regexes, for recognising a tokenizer that this scanner can stand in for.
extern const std::array<std::string_view, 3> kDeepSeekSplits;

class DeepSeekScanner {
 public:
  // The text is valid UTF-8; text and classes outlive the scanner.
  DeepSeekScanner(std::string_view text, const CharClasses& classes)
      : at_(text.data()), end_(text.data() + text.size()), classes_(classes) {}

  // The next piece; empty at the end of the text. The pieces are the text, in order, none of them empty.
  std::string_view next();

 private:
  uint8_t class_at(const char* p, int& length) const { return classes_.at(p, length); }
  // The class of the character at p; 0 at the end of the text.
  uint8_t class_at_or_end(const char* p) const;
  // Past the run of characters that have one of these classes.
  const char* skip(const char* p, uint8_t classes) const;

  // Where the piece that begins at p ends. p is a number, in the CJK range, or neither.
  const char* numbers_end(const char* p) const;
  const char* cjk_end(const char* p) const;
  const char* plain_end(const char* p) const;
  // The alternatives of stage 3 for a run of white space: up to its last line break, else all but its last character.
  const char* space_end(const char* p) const;
  const char* symbols_end(const char* p) const;

  const char* at_;
  const char* end_;
  const CharClasses& classes_;
};

}  // namespace hadal::tokenizer
