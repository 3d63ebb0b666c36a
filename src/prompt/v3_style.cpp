// V3's table, and the texts that all of these encodings have. R1 and V3.1: r1_style.cpp, v31_style.cpp.
#include "prompt/v3_style.h"

namespace hadal::v3 {

const Style kV3 = {
    .reasoning = Reasoning::kNever,
    .asks_behind_answer = true,
    .calls = kFencedCalls,
};

const std::string_view kToolsHead = "## Tools\nYou have access to the following tools:\n";
const std::string_view kToolName = "\n### ";
const std::string_view kToolDescription = "\nDescription: ";
const std::string_view kToolParameters = "\n\nParameters: ";
const std::string_view kToolsForm = "\nIMPORTANT: ALWAYS adhere to this exact format for tool use:\n";
const std::string_view kToolsTail =
    "\n\nWhere:\n\n"
    "- `tool_call_name` must be an exact match to one of the available tools\n"
    "- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema\n";

}  // namespace hadal::v3
