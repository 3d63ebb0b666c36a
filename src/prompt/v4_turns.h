// What V4's encoder does to a conversation before it renders it: merge, sort, drop.
//
//   merge   V4 has no tool role. A tool result becomes a block of the user turn before it, or of a new one; a user
//           message joins the user turn before it, unless that one has a task.
//   sort    Tool results of one user turn take the order in which the last assistant turn made the calls.
//   drop    In thinking mode without tools, developer messages before the last user turn vanish. (Their reasoning
//           vanishes too, but that is a question of rendering.)
//
// Source: merge_tool_messages, sort_tool_results_by_call_order and _drop_thinking_messages of
// encoding/encoding_dsv4.py, oddities included: a task on a user message that joins another one is lost. V4.1 keeps it.
// In V4.1 a system message behind the first turn counts as a user's.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "prompt/message.h"

namespace hadal::v4 {

struct Turn {
  Role role = Role::kUser;       // never kTool
  std::vector<size_t> messages;  // indices of the messages that it renders, in rendering order; several for users only
  std::string_view task;         // the message's; points into it
};

// The turns of a conversation. The messages must outlive them.
std::vector<Turn> turns_of(std::span<const Message> messages, bool is_v41);

// Whether the assistant answers this turn: those of users and developers, and what counts as such.
bool is_asking(std::span<const Turn> turns, size_t i, bool is_v41);
// Index of the last of them, -1 when there is none.
ptrdiff_t last_user_turn(std::span<const Turn> turns, bool is_v41);

void drop_earlier_developers(std::vector<Turn>& turns, bool is_v41);

}  // namespace hadal::v4
