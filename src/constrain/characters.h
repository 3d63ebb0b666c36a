// Sets of code points, and how a character of a set is spelled: as UTF-8, or inside a JSON string.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "constrain/grammar.h"

namespace hadal::constrain {

struct CodeRange {
  char32_t first, last;  // inclusive
};

// Ascending, apart from each other; surrogates (U+D800 to U+DFFF) are no characters.
class CodeSet {
 public:
  CodeSet() = default;
  explicit CodeSet(std::vector<CodeRange> ranges);
  static CodeSet all();
  CodeSet complement() const;
  bool contains(char32_t c) const;
  bool is_empty() const { return ranges_.empty(); }
  const std::vector<CodeRange>& ranges() const { return ranges_; }

 private:
  std::vector<CodeRange> ranges_;
};

enum class Spelling { kUtf8, kJsonString };

// One character of the set. In a JSON string: raw UTF-8 where JSON allows it, else \" \\ \b \f \n \r \t, or \u00XX for
// other control characters; further escapes, which mean the same, are never written.
Fragment character(GrammarBuilder& builder, const CodeSet& set, Spelling spelling);

}  // namespace hadal::constrain
