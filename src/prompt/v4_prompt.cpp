// Renders a conversation in V4's and V4.1's encodings: BOS, then turn by turn.
//
//   system           content, TOOLS, RESPFMT                       no marker of its own; in V4.1 <｜System｜>
//   user, developer  <｜User｜> content ...
//   assistant        reasoning </think> content CALLS EOS
//
// The header of the reply, <｜Assistant｜> with <think> or </think>, belongs to the turn before it. Source:
// render_message and encode_messages of encoding/encoding_dsv4.py and encoding_dsv41.py. Nothing is escaped: what a
// user types cannot become a marker because it is written as content (prompt_writer.h), not because of its characters.
#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "prompt/dsml_writer.h"
#include "prompt/markers.h"
#include "prompt/prompt_checks.h"
#include "prompt/prompt_writer.h"
#include "prompt/renderers.h"
#include "prompt/v4_literals.h"
#include "prompt/v4_turns.h"

namespace hadal {
namespace {

using v4::Turn;

// V4.1's efforts are levels; the names stand for those of the release's encoder (vLLM's copy has low 25, high 50).
int level_of_v41(const PromptOptions& options) {
  if (options.effort_level != 0) return options.effort_level;
  switch (options.effort) {
    case ReasoningEffort::kLow:
      return 50;
    case ReasoningEffort::kNone:
    case ReasoningEffort::kHigh:
      return 75;
    case ReasoningEffort::kMax:
      return 100;
  }
  return 75;
}

// The text that stands for the effort in front of the conversation; may be empty.
Result<std::string> effort_prefix(const PromptOptions& options) {
  const bool is_v41 = options.encoding == PromptEncoding::kV41;
  if (options.effort_level < 0 || options.effort_level > kEffortLevelMax || (options.effort_level > 0 && !is_v41)) {
    return unknown_effort(is_v41 ? "none, low, high, max or 1 to 100" : "a name: levels came with V4.1",
                          fmt::format("{}", options.effort_level), "");
  }
  if (is_v41) {
    if (options.thinking != ThinkingMode::kThinking) return std::string();
    return fmt::format("Reasoning Effort: {} (range 1-{}, the higher the value, the more thorough the reasoning)\n\n",
                       level_of_v41(options), kEffortLevelMax);
  }
  const bool is_preview = options.encoding == PromptEncoding::kV4Preview;
  if (is_preview && options.effort == ReasoningEffort::kLow) {
    return unknown_effort("none, high or max", "low",
                          "effort low came with the releases of July 2026; leave it out for this checkpoint");
  }
  if (options.thinking != ThinkingMode::kThinking) return std::string();
  switch (options.effort) {
    case ReasoningEffort::kNone:
    case ReasoningEffort::kLow:
      return std::string();
    case ReasoningEffort::kHigh:
      return std::string(is_preview ? std::string_view() : v4::kEffortAbsoluteMaximum);
    case ReasoningEffort::kMax:
      return std::string(is_preview ? v4::kEffortAbsoluteMaximum : v4::kEffortBeyondMaximum);
  }
  return std::string();
}

class V4Renderer {
 public:
  V4Renderer(std::span<const Message> messages, const PromptOptions& options)
      : messages_(messages),
        is_v41_(options.encoding == PromptEncoding::kV41),
        is_thinking_(options.thinking == ThinkingMode::kThinking) {
    const bool has_tools = std::ranges::any_of(messages, [](const Message& m) { return !m.tools.items().empty(); });
    drops_reasoning_ = options.drop_thinking && !has_tools;
    turns_ = v4::turns_of(messages, is_v41_);
    if (is_thinking_ && drops_reasoning_) v4::drop_earlier_developers(turns_, is_v41_);
    last_user_ = v4::last_user_turn(turns_, is_v41_);
    message_ends_.assign(messages.size(), 0);
  }

  Result<Prompt> render(bool add_bos, std::string_view prefix) {
    HADAL_TRY(check());
    if (add_bos) out_.markup(marker::kBos);
    if (is_v41_ && (!prefix.empty() || turns_.front().role == Role::kSystem)) out_.markup(marker::kSystem);
    out_.markup(prefix);
    for (size_t i = 0; i < turns_.size(); ++i) {
      HADAL_TRY(render_turn(i));
      render_transition(i);
    }
    Prompt prompt;
    prompt.starts_in_reasoning = out_.ends_with_markup(marker::kThink);
    prompt.pieces = out_.take();
    // A message that was dropped, or sorted before an earlier one, ends where the messages before it end.
    size_t end = 0;
    for (const size_t message_end : message_ends_) prompt.message_ends.push_back(end = std::max(end, message_end));
    return prompt;
  }

 private:
  Result<void> check() const {
    HADAL_TRY(check_not_empty(messages_));
    for (size_t i = 0; i < messages_.size(); ++i) {
      const std::string& task = messages_[i].task;
      if (!task.empty() && v4::task_token(task).empty()) {
        return invalid_message("unknown task", i, ".task", "action, query, authority, domain, title or read_url",
                               json::quote(utf8::front(task, 40)));
      }
    }
    // Nothing would follow it: no header for the reply, and no marker that says where the system text ends.
    const bool is_asking = v4::is_asking(turns_, turns_.size() - 1, is_v41_);
    if (turns_.back().role == Role::kSystem && turns_.back().task.empty() && !is_asking) {
      return invalid_message("conversation ends in a system message", turns_.back().messages.back(), "",
                             "a user message or a tool result at the end", "system");
    }
    return {};
  }

  Result<void> render_turn(size_t i) {
    const Turn& turn = turns_[i];
    const size_t i_message = turn.messages.front();
    const Message& message = messages_[i_message];
    switch (turn.role) {
      case Role::kSystem:
        if (is_v41_ && i > 0) out_.markup(marker::kSystem);
        HADAL_TRY(render_system(i_message));
        break;
      case Role::kDeveloper:
        if (message.text().empty()) {
          return invalid_message("developer message is empty", i_message, ".content", "text", "nothing");
        }
        out_.markup(marker::kUser);
        HADAL_TRY(render_system(i_message));
        break;
      case Role::kUser:
        render_user(turn);
        break;
      case Role::kLatestReminder:
        out_.markup(marker::kLatestReminder);
        out_.content(message.text());
        break;
      case Role::kAssistant:
        render_assistant(i);
        break;
      case Role::kTool:
        break;  // merged into a user turn
    }
    message_ends_[turn.messages.back()] = out_.bytes();
    return {};
  }

  // Content, then what the model may call and how it must answer. Developer messages look the same behind <｜User｜>.
  Result<void> render_system(size_t i_message) {
    const Message& message = messages_[i_message];
    out_.content(message.text());
    HADAL_TRY(dsml::write_tools(out_, v4::tools_head(tags()), message.tools, v4::kToolsTail, i_message));
    dsml::write_response_format(out_, message.response_format);
    return {};
  }

  void render_user(const Turn& turn) {
    out_.markup(marker::kUser);
    for (const size_t i_message : turn.messages) {
      if (i_message != turn.messages.front()) out_.markup("\n\n");
      const Message& message = messages_[i_message];
      const bool is_result = message.role == Role::kTool;
      if (is_result) out_.markup("<tool_result>");
      out_.content(message.text());
      if (is_result) out_.markup("</tool_result>");
      message_ends_[i_message] = out_.bytes();
    }
  }

  void render_assistant(size_t i) {
    const Message& message = messages_[turns_[i].messages.front()];
    const bool answers_task = i > 0 && !turns_[i - 1].task.empty();
    if (is_thinking_ && !answers_task && (!drops_reasoning_ || static_cast<ptrdiff_t>(i) > last_user_)) {
      out_.content(message.reasoning_content);
      out_.markup(marker::kEndThink);
    }
    out_.content(message.text());
    dsml::write_calls(out_, tags(), message.tool_calls);
    if (!message.wo_eos) out_.markup(marker::kEos);
  }

  // What stands between turn i and the next one, or asks for the reply: a task's token, or the assistant's header.
  void render_transition(size_t i) {
    if (i + 1 < turns_.size()) {
      const Role next = turns_[i + 1].role;
      if (next != Role::kAssistant && next != Role::kLatestReminder) return;
    }
    const Turn& turn = turns_[i];
    if (turn.task == "action") {
      out_.markup(marker::kAssistant);
      out_.markup(is_thinking_ ? marker::kThink : marker::kEndThink);
      out_.markup(v4::task_token(turn.task));
    } else if (!turn.task.empty()) {
      out_.markup(v4::task_token(turn.task));
    } else if (v4::is_asking(turns_, i, is_v41_)) {
      const bool may_reason = !drops_reasoning_ || static_cast<ptrdiff_t>(i) >= last_user_;
      out_.markup(marker::kAssistant);
      out_.markup(is_thinking_ && may_reason ? marker::kThink : marker::kEndThink);
    }
  }

  const dsml::TagNames& tags() const { return is_v41_ ? v4::kTagsOfV41 : v4::kTags; }

  std::span<const Message> messages_;
  bool is_v41_ = false;
  bool is_thinking_ = false;
  bool drops_reasoning_ = false;  // in thinking mode, turns before the last user turn lose their reasoning
  std::vector<Turn> turns_;
  ptrdiff_t last_user_ = -1;
  PromptWriter out_;
  std::vector<size_t> message_ends_;
};

}  // namespace

Result<Prompt> render_v4(std::span<const Message> messages, const PromptOptions& options) {
  HADAL_ASSIGN(const std::string prefix, effort_prefix(options));
  return V4Renderer(messages, options).render(options.add_bos, prefix);
}

}  // namespace hadal
