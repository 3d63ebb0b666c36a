// Regular expressions as grammars: literals, classes, groups, alternation, counts; anchors at the ends only.
//
// The dialect of JSON Schema's `pattern` as far as it is regular: no back-references, no look-around (Unsupported, by
// name). \d \w \s are those of ASCII. A pattern is a search unless anchored, as in ECMAScript; `whole` makes it the
// whole text.
#pragma once

#include <string_view>

#include "constrain/characters.h"
#include "constrain/grammar.h"

namespace hadal::constrain {

enum class RegexUse { kSearch, kWhole };

// Errors: Invalid (with the place in the pattern), Unsupported, Limit (pattern over 10,000 bytes, nesting over 100).
// States are limited by the builder.
Result<Fragment> regex_fragment(GrammarBuilder& builder, std::string_view pattern, RegexUse use, Spelling spelling);

// A grammar of its own.
Result<Grammar> regex_grammar(std::string_view pattern, RegexUse use);

}  // namespace hadal::constrain
