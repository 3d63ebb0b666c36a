#include "server/replay_store.h"

#include <algorithm>

namespace hadal::server {
namespace {

std::string key_of(const std::string& scope, const std::string& id) {
  return scope + '\n' + id;
}

std::string text_of(const Message& message) {
  std::string text;
  for (const ContentPart& part : message.content) text += part.text;
  return text;
}

}  // namespace

void ReplayStore::put(const std::string& scope, RecordedTurn turn) {
  if (turn.message.tool_calls.empty() || turn.tokens.size() > kTokensMax) return;
  const std::lock_guard lock(mutex_);
  n_tokens_ += turn.tokens.size();
  entries_.push_front({scope, std::make_shared<const RecordedTurn>(std::move(turn))});
  for (const ToolCall& call : entries_.front().turn->message.tool_calls) {
    by_call_[key_of(scope, call.id)] = entries_.begin();
  }
  while (n_tokens_ > kTokensMax) drop_last();
}

void ReplayStore::drop_last() {
  const Entry& last = entries_.back();
  n_tokens_ -= last.turn->tokens.size();
  for (const ToolCall& call : last.turn->message.tool_calls) by_call_.erase(key_of(last.scope, call.id));
  entries_.pop_back();
}

std::shared_ptr<const RecordedTurn> ReplayStore::find(const std::string& scope, const Message& message) {
  if (message.tool_calls.empty()) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto found = by_call_.find(key_of(scope, message.tool_calls.front().id));
  if (found == by_call_.end()) return nullptr;
  const std::shared_ptr<const RecordedTurn> turn = found->second->turn;
  const std::vector<ToolCall>& made = turn->message.tool_calls;
  const bool has_all = made.size() == message.tool_calls.size() &&
                       std::all_of(message.tool_calls.begin(), message.tool_calls.end(), [&](const ToolCall& call) {
                         return std::any_of(made.begin(), made.end(),
                                            [&](const ToolCall& m) { return m.id == call.id && m.name == call.name; });
                       });
  if (!has_all || text_of(message) != text_of(turn->message)) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return turn;
}

}  // namespace hadal::server
