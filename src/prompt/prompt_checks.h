// What every renderer refuses, said the same way.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "prompt/message.h"
#include "prompt/prompt_encoding.h"

namespace hadal {

// Invalid, at messages[i_message] and its field (".tools[2]", or nothing for the whole message).
Error invalid_message(std::string what, size_t i_message, std::string_view field, std::string want, std::string found);
// Invalid, at `reasoning_effort`.
Error unknown_effort(std::string want, std::string found, std::string hint);

// Invalid when there is no message.
[[nodiscard]] Result<void> check_not_empty(std::span<const Message> messages);

// For encodings before V4, which have no efforts and no tasks. Invalid: no message, a role outside `roles`, a task, an
// effort.
[[nodiscard]] Result<void> check_before_v4(std::span<const Message> messages, const PromptOptions& options,
                                           std::span<const Role> roles);

// The `function` of each tool of a message, in order; Invalid when one has none.
Result<std::vector<const json::Value*>> functions_of(const json::Value& tools, size_t i_message);

}  // namespace hadal
