// The fixed texts of V4's and V4.1's prompt encodings, byte for byte.
//
// Source: encoding/encoding_dsv4.py of DeepSeek-V4-Pro and -Flash (preview) and of DeepSeek-V4-Flash-0731. The bars of
// markers are U+FF5C and the separators U+2581, never ASCII. v4_literals_test.cpp holds lengths and hashes.
#pragma once

#include <string>
#include <string_view>

#include "prompt/dsml_writer.h"

namespace hadal::v4 {

// The token that asks for a task ("title" -> "<｜title｜>"); empty for an unknown task.
std::string_view task_token(std::string_view task);

// Put in front of the prompt by effort: the preview's "max" is the 0731 release's "high".
extern const std::string_view kEffortAbsoluteMaximum;  // prefix A
extern const std::string_view kEffortBeyondMaximum;    // prefix B

inline constexpr dsml::TagNames kTags = {.block = "tool_calls"};
inline constexpr dsml::TagNames kTagsOfV41 = {.block = " calls", .invoke = " invoke", .parameter = " parameter"};

// Around the tool schemas, one JSON object a line. The text before them shows the tags.
std::string tools_head(const dsml::TagNames& tags);
extern const std::string_view kToolsTail;

}  // namespace hadal::v4
