// The parts of a conversation in memory: roles, builders, the text of a message.
#include "prompt/message.h"

#include <fmt/format.h>

#include <array>

#include "base/utf8.h"

namespace hadal {
namespace {

struct NamedRole {
  Role role;
  std::string_view name;
};

constexpr std::array kRoles = {
    NamedRole{Role::kSystem, "system"}, NamedRole{Role::kDeveloper, "developer"},
    NamedRole{Role::kUser, "user"},     NamedRole{Role::kAssistant, "assistant"},
    NamedRole{Role::kTool, "tool"},     NamedRole{Role::kLatestReminder, "latest_reminder"},
};

Message message_with_text(Role role, std::string_view text) {
  Message message;
  message.role = role;
  if (!text.empty()) message.content.push_back({.type = "text", .text = std::string(text)});
  return message;
}

}  // namespace

std::string_view role_name(Role role) {
  for (const NamedRole& named : kRoles) {
    if (named.role == role) return named.name;
  }
  return "unknown";
}

Result<Role> parse_role(std::string_view name) {
  for (const NamedRole& named : kRoles) {
    if (named.name == name) return named.role;
  }
  return Error{.code = ErrorCode::kInvalid,
               .what = "unknown role",
               .in = "role",
               .want = "system, developer, user, assistant, tool or latest_reminder",
               .found = json::quote(utf8::front(name, 40)),
               .hint = ""};
}

std::string Message::text() const {
  std::string joined;
  for (const ContentPart& part : content) {
    if (&part != &content.front()) joined += "\n\n";
    joined += part.type == "text" ? part.text : fmt::format("[Unsupported {}]", part.type);
  }
  return joined;
}

Message system_message(std::string_view text) {
  return message_with_text(Role::kSystem, text);
}

Message user_message(std::string_view text) {
  return message_with_text(Role::kUser, text);
}

Message assistant_message(std::string_view text, std::string_view reasoning) {
  Message message = message_with_text(Role::kAssistant, text);
  message.reasoning_content = reasoning;
  return message;
}

Message tool_message(std::string_view tool_call_id, std::string_view text) {
  Message message = message_with_text(Role::kTool, text);
  message.tool_call_id = tool_call_id;
  return message;
}

}  // namespace hadal
