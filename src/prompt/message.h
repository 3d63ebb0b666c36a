// What a conversation consists of, independent of any API and any model family.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace hadal {

enum class Role { kSystem, kDeveloper, kUser, kAssistant, kTool, kLatestReminder };

std::string_view role_name(Role role);           // "system", "developer", "user", "assistant", "tool", ...
Result<Role> parse_role(std::string_view name);  // Invalid for any other

struct ToolCall {
  std::string id;  // may be empty
  std::string name;
  std::string arguments;  // JSON text of an object, as OpenAI's function.arguments
  friend bool operator==(const ToolCall&, const ToolCall&) = default;
};

// A part of a message's content. User messages may hold several parts; other kinds than text render as
// "[Unsupported TYPE]" where the release does so.
struct ContentPart {
  std::string type = "text";
  std::string text;
  friend bool operator==(const ContentPart&, const ContentPart&) = default;
};

struct Message {
  Role role = Role::kUser;
  std::vector<ContentPart> content;
  std::string reasoning_content;     // assistant
  std::vector<ToolCall> tool_calls;  // assistant
  std::string tool_call_id;          // tool
  json::Value tools;                 // system, developer: array of {"type":"function","function":{...}}, or null
  json::Value response_format;       // system, developer: any JSON value, or null
  std::string task;                  // "", "action", "query", "authority", "domain", "title", "read_url"
  bool wo_eos = false;               // assistant: a partial answer to be continued

  // All parts joined by blank lines; a part that is no text appears as "[Unsupported TYPE]".
  std::string text() const;

  friend bool operator==(const Message&, const Message&) = default;
};

Message system_message(std::string_view text);
Message user_message(std::string_view text);
Message assistant_message(std::string_view text, std::string_view reasoning = {});
Message tool_message(std::string_view tool_call_id, std::string_view text);

// One message of OpenAI's chat form, with the fields that V4's encoder reads:
//
//   {"role", "content": string | null | [{"type": "text", "text": ...}, ...], "reasoning_content", "tool_call_id",
//    "tool_calls": [{"id", "type": "function", "function": {"name", "arguments": JSON text | object}}],
//    "tools": [{"type": "function", "function": {"name", ...}}], "response_format", "task", "wo_eos"}
//
// null is as good as a missing field; unknown fields are ignored. Of parts that are no text only the type is kept.
// Errors: Invalid, with the JSON path inside the message ("tool_calls[0].function.name").
Result<Message> parse_message(const json::Value& value);

// The same form; parse_message reads it back to a message that renders the same.
json::Value message_to_json(const Message& message);

}  // namespace hadal
