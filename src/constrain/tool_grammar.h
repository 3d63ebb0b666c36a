// The envelope of tool calls in DSML as a grammar: text, then perhaps a block of calls, well-formed to the last tag.
//
//   TEXT <M tool_calls>\n { <M invoke name="NAME">\n { <M parameter name="KEY" string="true|false">VALUE</M
//   parameter>\n }
//   </M invoke>\n } </M tool_calls>
//
// M is one token that is nothing else, so it can stand nowhere but in a tag, and text cannot hold a tag. Strings are
// raw text up to the closing tag; other values are JSON. Strict tools get their parameters in the order of the schema,
// all required ones, each value as its schema says; of others names of tools and parameters and well-formed JSON are
// enforced. Source of the form: prompt/dsml_writer.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "constrain/grammar.h"

namespace hadal::constrain {

struct EnvelopeTags {
  TokenId marker = -1;
  std::string block = "tool_calls", invoke = "invoke", parameter = "parameter";
};

struct ToolShape {
  std::string name;
  json::Value parameters;  // JSON Schema of an object, or null
  bool is_strict = false;
};

struct EnvelopeOptions {
  bool is_forced = false;        // no text: at least one call
  bool is_parallel = true;       // several calls in a block
  json::Value answer_schema;     // instead of text: JSON that satisfies it; null: text
  bool answers_in_json = false;  // any JSON object instead of text
  bool is_answer_strict = false;
};

// What stands behind the reasoning: text or JSON, or a block of calls of `tools`. Line feeds may stand in front of it.
// Errors: of schema_grammar, within the tool's name.
Result<Grammar> answer_grammar(const EnvelopeTags& tags, const std::vector<ToolShape>& tools,
                               const EnvelopeOptions& options);

}  // namespace hadal::constrain
