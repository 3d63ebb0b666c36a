// What the prompts of V3.2, V4 and V4.1 write alike: calls in DSML, tool schemas, the response format.
//
//   <｜DSML｜BLOCK>\n
//   <｜DSML｜invoke name="NAME">\n
//   <｜DSML｜parameter name="KEY" string="true">TEXT</｜DSML｜parameter>\n        string="false" and JSON for anything
//   else
//   </｜DSML｜invoke>\n
//   </｜DSML｜BLOCK>
//
// The names of the tags are the encoding's: V4.1 writes a space in front of each.
//
// Source: encode_arguments_to_dsml, render_tools and the templates of encoding/encoding_dsv32.py and encoding_dsv4.py.
#pragma once

#include <span>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "prompt/message.h"
#include "prompt/prompt_writer.h"

namespace hadal::dsml {

struct TagNames {
  std::string_view block;
  std::string_view invoke = "invoke";
  std::string_view parameter = "parameter";
};

// A blank line and the block, or nothing when there is no call. Arguments may be a JSON string that holds their JSON;
// what is no JSON object even then is shown as one string parameter `arguments`.
void write_calls(PromptWriter& out, const TagNames& tags, std::span<const ToolCall> calls);

// A blank line, head, one JSON object a line, tail; or nothing when there is no tool. Invalid: a tool without function.
Result<void> write_tools(PromptWriter& out, std::string_view head, const json::Value& tools, std::string_view tail,
                         size_t i_message);

// A blank line and what the reply must look like; nothing for a value that Python takes for nothing (null, {}, "").
void write_response_format(PromptWriter& out, const json::Value& response_format);

}  // namespace hadal::dsml
