// JSON Schema (2020-12, the part that APIs use) as a grammar of JSON texts.
//
// Keys come in the order of the schema, optional ones may be left out; between tokens stands at most one blank behind
// ':' and ',' or a line feed with up to 64 blanks: endless white space is a known endless loop. Strings are spelled
// one way (characters.h). docs/constrain.md lists the keywords.
#pragma once

#include "base/json.h"
#include "constrain/grammar.h"

namespace hadal::constrain {

struct SchemaOptions {
  // Strict: a keyword that cannot be honoured is an error (Unsupported; `in` is its JSON pointer, `found` its name).
  // Else it is ignored, and what is wider is allowed.
  bool strict = true;
};

// Errors also: Invalid (a keyword of the wrong kind, a $ref that leads nowhere or consumes nothing, a schema that
// nothing satisfies by its own bounds), Limit (10,000 schemas, depth 64, 100,000 values in enums).
Result<Fragment> schema_fragment(GrammarBuilder& builder, const json::Value& schema, const SchemaOptions& options);
Result<Grammar> schema_grammar(const json::Value& schema, const SchemaOptions& options);

// Any JSON object; any JSON value.
Grammar any_object_grammar();
Fragment any_value_fragment(GrammarBuilder& builder);

}  // namespace hadal::constrain
