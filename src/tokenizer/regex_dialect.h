// Regexes of tokenizer.json in PCRE2's words.
//
// The reference tokenizer runs them under Oniguruma with Ruby's syntax; we run them under PCRE2. The two agree on most
// of what pre-tokenizers use and differ silently elsewhere: "^" is the start of a line there, \v one character, {n}+
// not possessive, [a[b]] a union, \p{Han} another set, \s without U+180E. So this accepts a list of constructs known to
// mean the same, rewrites \s and \S, and refuses the rest by name.
//
//   literals  .  |  [...]  [^...]  (...)  (?:...)  (?=...)  (?!...)  (?>...)  (?<=...)  (?<!...)
//   *  +  ?  {n}  {n,}  {n,m}, each greedy; * + ? also lazy or possessive
//   \n \r \t \f  \s \S \d \D  \p{..} \P{..} of a general category  \x{..}  a backslash before ASCII punctuation
//
// Sources: oniguruma doc/RE (Ruby syntax); pcre2pattern(3).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hadal::tokenizer {

// Longer ones are refused (Limit). DeepSeek's longest has 149 bytes, the longest in common use about 300.
inline constexpr size_t kRegexBytesMax = 4096;

// Unsupported names the construct and its byte offset; the regex may still be one that PCRE2 refuses.
Result<std::string> regex_for_pcre2(std::string_view regex);

}  // namespace hadal::tokenizer
