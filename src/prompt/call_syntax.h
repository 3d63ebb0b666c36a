// How a model writes tool calls, and which of the markers in it must be found.
#pragma once

#include "prompt/prompt_encoding.h"

namespace hadal {

enum class CallSyntax {
  kToolTokens,  // <｜tool▁calls▁begin｜>...: tool_token_parser.h
  kDsml,        // <｜DSML｜tool_calls>...: dsml_parser.h
};

struct OutputSyntax {
  CallSyntax calls = CallSyntax::kDsml;
  bool has_reasoning = true;
};

OutputSyntax output_syntax(PromptEncoding encoding);

}  // namespace hadal
