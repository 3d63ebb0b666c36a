// Renders a conversation in the encodings of V3, R1 and V3.1: BOS, all system texts, then message by message.
//
//   user         <｜User｜> content
//   assistant    <｜Assistant｜> content CALLS EOS
//   results      RESULTS-BEGIN { <｜tool▁output▁begin｜> content <｜tool▁output▁end｜> } RESULTS-END
//   at the end   <｜Assistant｜>, perhaps with <think> or </think>; nothing behind results
//
// What differs stands in a table (v3_style.h). Reasoning of the past is never shown. Source: the chat templates of the
// releases, but where they leave a frame open: a turn's first call and first result open a new one, the last one closes
// it. docs/prompt.md lists the rest.
#include <fmt/format.h>

#include <algorithm>

#include "prompt/markers.h"
#include "prompt/prompt_checks.h"
#include "prompt/prompt_writer.h"
#include "prompt/renderers.h"
#include "prompt/v3_style.h"

namespace hadal {
namespace {

constexpr Role kRoles[] = {Role::kSystem, Role::kUser, Role::kAssistant, Role::kTool};

bool reasons(const v3::Style& style, const PromptOptions& options) {
  const bool is_asked = options.thinking == ThinkingMode::kThinking;
  return style.reasoning == v3::Reasoning::kAlways || (style.reasoning == v3::Reasoning::kAsked && is_asked);
}

// A function's field as text: missing or of another kind is nothing.
std::string_view field(const json::Value& function, std::string_view key) {
  const json::Value* value = function.find(key);
  return value != nullptr && value->is_string() ? std::string_view(value->as_string()) : std::string_view();
}

class V3Renderer {
 public:
  V3Renderer(std::span<const Message> messages, const PromptOptions& options, const v3::Style& style)
      : messages_(messages), style_(style), is_thinking_(reasons(style, options)), add_bos_(options.add_bos) {}

  Result<Prompt> render() {
    if (add_bos_) out_.markup(marker::kBos);
    HADAL_TRY(render_system());
    std::vector<size_t> ends;
    for (const Message& message : messages_) {
      render_message(message);
      ends.push_back(out_.bytes());
    }
    ask();
    return Prompt{.pieces = out_.take(), .starts_in_reasoning = opens_reasoning_, .message_ends = std::move(ends)};
  }

 private:
  // All system texts stand in front, wherever they were said, and behind them what may be called.
  Result<void> render_system() {
    bool is_first = true;
    for (const Message& message : messages_) {
      if (message.role != Role::kSystem) continue;
      if (!std::exchange(is_first, false)) out_.markup("\n\n");
      out_.content(message.text());
    }
    bool has_tools = false;
    for (size_t i = 0; i < messages_.size(); ++i) {
      HADAL_ASSIGN(const std::vector<const json::Value*> functions, functions_of(messages_[i].tools, i));
      if (functions.empty()) continue;
      if (!std::exchange(has_tools, true)) {
        out_.markup("\n\n");
        out_.markup(v3::kToolsHead);
      }
      for (const json::Value* function : functions) render_tool(*function);
    }
    if (has_tools) render_call_form();
    return {};
  }

  void render_tool(const json::Value& function) {
    const json::Value* parameters = function.find("parameters");
    out_.markup(v3::kToolName);
    out_.content(field(function, "name"));
    out_.markup(v3::kToolDescription);
    out_.content(field(function, "description"));
    out_.markup(v3::kToolParameters);
    out_.content(parameters != nullptr ? json::dump_python(*parameters) : "{}");
    out_.markup("\n");
  }

  void render_call_form() {
    out_.markup(v3::kToolsForm);
    out_.markup(fmt::format("{}{}tool_call_name{}tool_call_arguments{}{{{{additional_tool_calls}}}}{}",
                            marker::kCallsBegin, style_.calls.call_begin, style_.calls.arguments_begin,
                            style_.calls.call_end, marker::kCallsEnd));
    out_.markup(v3::kToolsTail);
    out_.markup(style_.calls.further_calls_rule);
  }

  void render_message(const Message& message) {
    switch (message.role) {
      case Role::kUser:
        out_.markup(marker::kUser);
        out_.content(message.text());
        break;
      case Role::kAssistant:
        render_answer(message);
        break;
      case Role::kTool:
        out_.markup(follows_ == Role::kTool ? style_.calls.between_results : style_.calls.results_begin);
        out_.markup(marker::kResultBegin);
        out_.content(message.text());
        out_.markup(marker::kResultEnd);
        break;
      default:
        return;  // system: stands in front
    }
    follows_ = message.role;
    is_partial_ = message.wo_eos;
  }

  void render_answer(const Message& message) {
    if (follows_ == Role::kTool) {
      out_.markup(style_.calls.results_end);
    } else if (follows_ == Role::kUser || !style_.only_users_get_headers) {
      out_.markup(marker::kAssistant);
      // V3.1 continues a partial answer inside the reasoning when that is asked for.
      const bool continues_reasoning = message.wo_eos && message.tool_calls.empty() && is_asked_to_reason();
      out_.markup(continues_reasoning ? style_.asks_for_reasoning : style_.past_answer);
      opens_reasoning_ = continues_reasoning && &message == &messages_.back();
    }
    const std::string text = message.text();
    out_.content(without_reasoning(text, message));
    render_calls(message.tool_calls);
    if (!message.wo_eos) out_.markup(marker::kEos);
  }

  bool is_asked_to_reason() const { return is_thinking_ && style_.reasoning == v3::Reasoning::kAsked; }

  // Clients send back what they were shown: a text that has its reasoning in it.
  std::string_view without_reasoning(std::string_view text, const Message& message) const {
    size_t mark = std::string_view::npos;
    if (style_.drops_reasoning == v3::DropsReasoning::kUpToLastMark) {
      mark = text.rfind(marker::kEndThink);
    } else if (style_.drops_reasoning == v3::DropsReasoning::kUpToFirstMark) {
      // V3.1's template looks for it neither behind results nor in front of calls.
      const bool looks = follows_ != Role::kTool && message.tool_calls.empty();
      mark = looks ? text.find(marker::kEndThink) : mark;
    }
    return mark == std::string_view::npos ? text : text.substr(mark + marker::kEndThink.size());
  }

  void render_calls(std::span<const ToolCall> calls) {
    if (calls.empty()) return;
    out_.markup(marker::kCallsBegin);
    for (size_t i = 0; i < calls.size(); ++i) {
      if (i > 0) out_.markup(style_.calls.between_calls);
      out_.markup(style_.calls.call_begin);
      out_.content(calls[i].name);
      out_.markup(style_.calls.arguments_begin);
      out_.content(calls[i].arguments);
      out_.markup(style_.calls.call_end);
    }
    out_.markup(marker::kCallsEnd);
  }

  // The header of the reply. Behind results the models go on without one.
  void ask() {
    if (follows_ == Role::kTool) return out_.markup(style_.calls.results_end);
    if (follows_ == Role::kAssistant && (is_partial_ || !style_.asks_behind_answer)) return;
    const std::string_view asks = is_thinking_ ? style_.asks_for_reasoning : style_.asks_for_answer;
    out_.markup(marker::kAssistant);
    out_.markup(asks);
    opens_reasoning_ = asks.starts_with(marker::kThink);
  }

  std::span<const Message> messages_;
  const v3::Style& style_;
  bool is_thinking_;
  bool add_bos_;
  PromptWriter out_;
  Role follows_ = Role::kSystem;  // of the last message that was rendered, system texts apart
  bool is_partial_ = false;       // that message goes on
  bool opens_reasoning_ = false;
};

Result<void> check(std::span<const Message> messages, const PromptOptions& options, const v3::Style& style) {
  HADAL_TRY(check_before_v4(messages, options, kRoles));
  if (style.reasoning == v3::Reasoning::kNever && options.thinking == ThinkingMode::kThinking) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "this model does not reason",
                 .in = "thinking",
                 .want = "off",
                 .found = "on",
                 .hint = "R1 and V3.1 are the models of this family that do"};
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    if (!messages[i].response_format.is_null()) {
      return invalid_message("this model's encoding has no response format", i, ".response_format", "none",
                             json::excerpt(messages[i].response_format));
    }
  }
  if (std::ranges::all_of(messages, [](const Message& m) { return m.role == Role::kSystem; })) {
    return invalid_message("conversation ends in a system message", messages.size() - 1, "",
                           "a user message or a tool result at the end", "system");
  }
  return {};
}

}  // namespace

Result<Prompt> render_v3(std::span<const Message> messages, const PromptOptions& options, const v3::Style& style) {
  HADAL_TRY(check(messages, options, style));
  return V3Renderer(messages, options, style).render();
}

}  // namespace hadal
