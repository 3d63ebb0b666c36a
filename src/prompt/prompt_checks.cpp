#include "prompt/prompt_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace hadal {
namespace {

std::string names_of(std::span<const Role> roles) {
  std::string names;
  for (const Role& role : roles) {
    const bool is_first = &role == &roles.front();
    const bool is_last = &role == &roles.back();
    names += fmt::format("{}{}", is_first ? "" : is_last ? " or " : ", ", role_name(role));
  }
  return names;
}

std::string_view effort_name(ReasoningEffort effort) {
  switch (effort) {
    case ReasoningEffort::kNone:
      return "none";
    case ReasoningEffort::kLow:
      return "low";
    case ReasoningEffort::kHigh:
      return "high";
    case ReasoningEffort::kMax:
      return "max";
  }
  return "?";
}

}  // namespace

Error invalid_message(std::string what, size_t i_message, std::string_view field, std::string want, std::string found) {
  return Error{.code = ErrorCode::kInvalid,
               .what = std::move(what),
               .in = fmt::format("messages[{}]{}", i_message, field),
               .want = std::move(want),
               .found = std::move(found),
               .hint = ""};
}

Error unknown_effort(std::string want, std::string found, std::string hint) {
  return Error{.code = ErrorCode::kInvalid,
               .what = "reasoning effort is unknown to this model",
               .in = "reasoning_effort",
               .want = std::move(want),
               .found = std::move(found),
               .hint = std::move(hint)};
}

Result<void> check_not_empty(std::span<const Message> messages) {
  if (!messages.empty()) return {};
  return Error{.code = ErrorCode::kInvalid,
               .what = "conversation is empty",
               .in = "messages",
               .want = "at least one message",
               .found = "none",
               .hint = ""};
}

Result<void> check_before_v4(std::span<const Message> messages, const PromptOptions& options,
                             std::span<const Role> roles) {
  HADAL_TRY(check_not_empty(messages));
  if (options.effort != ReasoningEffort::kNone) {
    return unknown_effort("none", std::string(effort_name(options.effort)),
                          "efforts came with V4; here reasoning is on or off");
  }
  if (options.effort_level != 0) {
    return unknown_effort("none", fmt::format("{}", options.effort_level),
                          "efforts came with V4; here reasoning is on or off");
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (std::ranges::find(roles, message.role) == roles.end()) {
      return invalid_message("this model's encoding has no such role", i, ".role", names_of(roles),
                             std::string(role_name(message.role)));
    }
    if (!message.task.empty()) {
      return invalid_message("this model's encoding has no tasks", i, ".task", "none",
                             json::quote(utf8::front(message.task, 40)));
    }
  }
  return {};
}

Result<std::vector<const json::Value*>> functions_of(const json::Value& tools, size_t i_message) {
  std::vector<const json::Value*> functions;
  for (size_t i = 0; i < tools.items().size(); ++i) {
    const json::Value* function = tools.items()[i].find("function");
    if (function == nullptr) {
      return invalid_message("tool has no function", i_message, fmt::format(".tools[{}]", i), "function", "none");
    }
    functions.push_back(function);
  }
  return functions;
}

}  // namespace hadal
