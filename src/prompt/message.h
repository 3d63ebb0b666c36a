// What a conversation consists of, independent of any API and any model family.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace hadal {

enum class Role { kSystem, kDeveloper, kUser, kAssistant, kTool, kLatestReminder };

std::string_view role_name(Role role);                 // "system", "developer", "user", "assistant", "tool", ...
Result<Role> parse_role(std::string_view name);        // Invalid for any other

struct ToolCall {
  std::string id;         // may be empty
  std::string name;
  std::string arguments;  // JSON text of an object, as OpenAI's function.arguments
};

// A part of a message's content. User messages may hold several parts; other kinds than text render as
// "[Unsupported TYPE]" where the release does so.
struct ContentPart {
  std::string type = "text";
  std::string text;
};

struct Message {
  Role role = Role::kUser;
  std::vector<ContentPart> content;
  std::string reasoning_content;       // assistant
  std::vector<ToolCall> tool_calls;    // assistant
  std::string tool_call_id;            // tool
  json::Value tools;                   // system, developer: array of {"type":"function","function":{...}}, or null
  json::Value response_format;         // system, developer: any JSON value, or null
  std::string task;                    // "", "action", "query", "authority", "domain", "title", "read_url"
  bool wo_eos = false;                 // assistant: a partial answer to be continued

  // All text parts joined by blank lines.
  std::string text() const;
};

Message system_message(std::string_view text);
Message user_message(std::string_view text);
Message assistant_message(std::string_view text, std::string_view reasoning = {});
Message tool_message(std::string_view tool_call_id, std::string_view text);

// One message of OpenAI's chat form: {"role": ..., "content": string | [{"type":"text","text":...}], "tool_calls": ...}.
Result<Message> parse_message(const json::Value& value);
json::Value message_to_json(const Message& message);

}  // namespace hadal
