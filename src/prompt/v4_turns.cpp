#include "prompt/v4_turns.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

namespace hadal::v4 {
namespace {

std::vector<Turn> merge(std::span<const Message> messages, bool is_v41) {
  std::vector<Turn> turns;
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    const bool follows_user = !turns.empty() && turns.back().role == Role::kUser;
    if (message.role == Role::kTool) {
      if (follows_user) {
        turns.back().messages.push_back(i);
      } else {
        turns.push_back({.role = Role::kUser, .messages = {i}, .task = {}});
      }
    } else if (message.role == Role::kUser && follows_user && turns.back().task.empty()) {
      turns.back().messages.push_back(i);
      if (is_v41) turns.back().task = message.task;
    } else {
      turns.push_back({.role = message.role, .messages = {i}, .task = message.task});
    }
  }
  return turns;
}

using CallOrder = std::unordered_map<std::string_view, size_t>;

CallOrder order_of(std::span<const ToolCall> calls) {
  CallOrder order;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (!calls[i].id.empty()) order[calls[i].id] = i;
  }
  return order;
}

// Only the places of tool results are refilled: texts between them stay where they are.
void sort_results(std::span<const Message> messages, const CallOrder& order, Turn& turn) {
  std::vector<size_t> places;
  std::vector<size_t> results;
  for (size_t place = 0; place < turn.messages.size(); ++place) {
    if (messages[turn.messages[place]].role != Role::kTool) continue;
    places.push_back(place);
    results.push_back(turn.messages[place]);
  }
  // Results of the same rank keep their order.
  const auto rank = [&](size_t i_message) {
    const auto found = order.find(messages[i_message].tool_call_id);
    return std::pair(found == order.end() ? size_t{0} : found->second, i_message);
  };
  std::ranges::sort(results, {}, rank);
  for (size_t i = 0; i < places.size(); ++i) turn.messages[places[i]] = results[i];
}

}  // namespace

std::vector<Turn> turns_of(std::span<const Message> messages, bool is_v41) {
  std::vector<Turn> turns = merge(messages, is_v41);
  CallOrder order;
  for (Turn& turn : turns) {
    if (turn.role == Role::kAssistant) {
      const Message& message = messages[turn.messages.front()];
      if (!message.tool_calls.empty()) order = order_of(message.tool_calls);
    } else if (turn.role == Role::kUser && !order.empty()) {
      sort_results(messages, order, turn);
    }
  }
  return turns;
}

bool is_asking(std::span<const Turn> turns, size_t i, bool is_v41) {
  const Role role = turns[i].role;
  return role == Role::kUser || role == Role::kDeveloper || (is_v41 && role == Role::kSystem && i > 0);
}

ptrdiff_t last_user_turn(std::span<const Turn> turns, bool is_v41) {
  for (size_t i = turns.size(); i-- > 0;) {
    if (is_asking(turns, i, is_v41)) return static_cast<ptrdiff_t>(i);
  }
  return -1;
}

void drop_earlier_developers(std::vector<Turn>& turns, bool is_v41) {
  const ptrdiff_t last_user = last_user_turn(turns, is_v41);
  ptrdiff_t i = 0;
  std::erase_if(turns, [&](const Turn& turn) { return i++ < last_user && turn.role == Role::kDeveloper; });
}

}  // namespace hadal::v4
