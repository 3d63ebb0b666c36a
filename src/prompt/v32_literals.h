// The fixed texts of V3.2's prompt encoding, byte for byte.
//
// Source: TOOLS_SYSTEM_TEMPLATE of encoding/encoding_dsv32.py of DeepSeek-V3.2, as its golden encoding/test_output.txt
// has it. The copies of that file in vLLM and SGLang lack the blank lines.
#pragma once

#include <string_view>

namespace hadal::v32 {

// The block of calls: <｜DSML｜function_calls>.
inline constexpr std::string_view kCallsBlock = "function_calls";

// Around the tool schemas, one JSON object a line.
extern const std::string_view kToolsHead;
extern const std::string_view kToolsTail;

// In front of what a developer's message says.
inline constexpr std::string_view kDeveloperHead = "\n\n# The user's message is: ";

// Around the results of one turn, and around each.
inline constexpr std::string_view kResultsBegin = "\n\n<function_results>";
inline constexpr std::string_view kResultsEnd = "\n</function_results>\n\n";
inline constexpr std::string_view kResultBegin = "\n<result>";
inline constexpr std::string_view kResultEnd = "</result>";

}  // namespace hadal::v32
