// Renders a conversation in V3.2's encoding: BOS, then message by message.
//
//   system       content TOOLS RESPFMT
//   user         <｜User｜> content HEADER
//   developer    <｜User｜> TOOLS RESPFMT "# The user's message is: " content HEADER
//   assistant    reasoning </think> content CALLS EOS            reasoning only behind the last user's message
//   results      <function_results> { <result> content </result> } </function_results> <think> or </think>
//
// HEADER is <｜Assistant｜> with <think> behind the last user's message in thinking mode, else with </think>. Results
// are part of the assistant's turn: they stand behind its EOS in the order of the messages, and no user is between.
// Source: render_message, encode_messages and drop_thinking_messages of encoding/encoding_dsv32.py.
#include <fmt/format.h>

#include "prompt/dsml_writer.h"
#include "prompt/markers.h"
#include "prompt/prompt_checks.h"
#include "prompt/prompt_writer.h"
#include "prompt/renderers.h"
#include "prompt/v32_literals.h"

namespace hadal {
namespace {

constexpr Role kRoles[] = {Role::kSystem, Role::kDeveloper, Role::kUser, Role::kAssistant, Role::kTool};

bool is_user(const Message& message) {
  return message.role == Role::kUser || message.role == Role::kDeveloper;
}

class V32Renderer {
 public:
  V32Renderer(std::span<const Message> messages, const PromptOptions& options)
      : messages_(messages), is_thinking_(options.thinking == ThinkingMode::kThinking) {
    for (size_t i = 0; i < messages.size(); ++i) {
      if (is_user(messages[i])) last_user_ = static_cast<ptrdiff_t>(i);
    }
    drops_developers_ = is_thinking_ && options.drop_thinking;
  }

  Result<Prompt> render(bool add_bos) {
    if (add_bos) out_.markup(marker::kBos);
    for (size_t i = 0; i < messages_.size(); ++i) HADAL_TRY(render_message(i));
    Prompt prompt;
    prompt.starts_in_reasoning = out_.ends_with_markup(marker::kThink);
    prompt.pieces = out_.take();
    prompt.message_ends = std::move(ends_);
    return prompt;
  }

 private:
  bool is_before_last_user(size_t i) const { return static_cast<ptrdiff_t>(i) < last_user_; }

  Result<void> render_message(size_t i) {
    const Message& message = messages_[i];
    switch (message.role) {
      case Role::kSystem:
        out_.content(message.text());
        HADAL_TRY(render_declarations(i));
        break;
      case Role::kDeveloper:
        HADAL_TRY(render_developer(i));
        break;
      case Role::kUser:
        out_.markup(marker::kUser);
        out_.content(message.text());
        end_and_ask(i);
        return {};
      case Role::kAssistant:
        render_answer(i);
        break;
      case Role::kTool:
        return render_result(i);
      case Role::kLatestReminder:
        break;  // no role of this encoding
    }
    if (ends_.size() == i) ends_.push_back(out_.bytes());
    return {};
  }

  // What may be called and how the reply must look.
  Result<void> render_declarations(size_t i) {
    HADAL_TRY(dsml::write_tools(out_, v32::kToolsHead, messages_[i].tools, v32::kToolsTail, i));
    dsml::write_response_format(out_, messages_[i].response_format);
    return {};
  }

  Result<void> render_developer(size_t i) {
    const std::string text = messages_[i].text();
    if (text.empty()) return invalid_message("developer message is empty", i, ".content", "text", "nothing");
    if (drops_developers_ && is_before_last_user(i)) return {};
    out_.markup(marker::kUser);
    HADAL_TRY(render_declarations(i));
    out_.markup(v32::kDeveloperHead);
    out_.content(text);
    end_and_ask(i);
    return {};
  }

  // The message ends in front of the header of the reply.
  void end_and_ask(size_t i) {
    ends_.push_back(out_.bytes());
    out_.markup(marker::kAssistant);
    ask(i);
  }

  void ask(size_t i) { out_.markup(is_thinking_ && !is_before_last_user(i) ? marker::kThink : marker::kEndThink); }

  // The release's encoder refuses an answer behind the last user's message that has neither reasoning nor calls; here
  // it is one with empty reasoning, because clients may not keep what the model thought.
  void render_answer(size_t i) {
    const Message& message = messages_[i];
    n_calls_ = message.tool_calls.size();
    n_results_ = 0;
    if (is_thinking_ && !is_before_last_user(i)) {
      out_.content(message.reasoning_content);
      out_.markup(marker::kEndThink);
    }
    out_.content(message.text());
    dsml::write_calls(out_, {.block = v32::kCallsBlock}, message.tool_calls);
    if (!message.wo_eos) out_.markup(marker::kEos);
  }

  Result<void> render_result(size_t i) {
    const bool continues = i > 0 && (messages_[i - 1].role == Role::kAssistant || messages_[i - 1].role == Role::kTool);
    if (!continues || n_results_ == n_calls_) return wrong_results(i, "more");
    if (n_results_ == 0) out_.markup(v32::kResultsBegin);
    out_.markup(v32::kResultBegin);
    out_.content(messages_[i].text());
    out_.markup(v32::kResultEnd);
    ends_.push_back(out_.bytes());
    const bool is_last = i + 1 == messages_.size() || messages_[i + 1].role != Role::kTool;
    if (++n_results_ == n_calls_) {
      out_.markup(v32::kResultsEnd);
      ask(i);
    } else if (is_last) {
      return wrong_results(i, "fewer");
    }
    return {};
  }

  Error wrong_results(size_t i, std::string_view found) const {
    return invalid_message("tool results are not those of the calls", i, "",
                           "as many results as calls, behind the message that made them", std::string(found));
  }

  std::span<const Message> messages_;
  bool is_thinking_;
  bool drops_developers_ = false;
  ptrdiff_t last_user_ = -1;
  size_t n_calls_ = 0;    // of the last assistant message
  size_t n_results_ = 0;  // of these
  PromptWriter out_;
  std::vector<size_t> ends_;
};

}  // namespace

Result<Prompt> render_v32(std::span<const Message> messages, const PromptOptions& options) {
  HADAL_TRY(check_before_v4(messages, options, kRoles));
  if (messages.back().role == Role::kSystem) {
    return invalid_message("conversation ends in a system message", messages.size() - 1, "",
                           "a user message or a tool result at the end", "system");
  }
  return V32Renderer(messages, options).render(options.add_bos);
}

}  // namespace hadal
