// A conversation with a model: the messages, how they are rendered, and the sequence that remembers them.
//
// Each answer renders the whole prompt anew and keeps of the sequence what is equal, so nothing can drift: undo, retry,
// another system prompt and dropped reasoning are all just another prompt.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "engine/generate.h"
#include "prompt/message.h"
#include "terminal/chat_commands.h"
#include "terminal/chat_settings.h"

namespace hadal::cli {

struct Conversation {
  std::string system;
  json::Value tools;  // OpenAI's list, or null
  ChatCommand::Think think = ChatCommand::Think::kOff;
  int effort_level = 0;           // 1..100, beside kOn; 0: what think says
  std::vector<Message> messages;  // of user, assistant and tools; the system prompt stands apart

  // What the model is shown. Errors: of render_prompt.
  Result<Prompt> render(PromptEncoding encoding) const;
};

// Whether a value from a file is a list of tools in OpenAI's form, or null. Invalid, with the JSON path.
[[nodiscard]] Result<void> check_tools(const json::Value& tools);

// "off", "on", "high", "max": as /think and --think take it.
std::string think_name(const Conversation& conversation);

// The options of one answer; a seed is drawn when the settings have none.
GenerationOptions generation_options(const ChatSettings& settings);

// Answers the last message and appends what was said, unless there is an error. `id` holds the past.
Result<Generated> answer(Engine& engine, SequenceId id, Conversation& conversation, const ChatSettings& settings,
                         const GenerationControl& control, GenerationObserver& observer);

// Continues plain text behind the model's begin marker.
Result<Generated> complete(Engine& engine, SequenceId id, std::string_view text, const ChatSettings& settings,
                           const GenerationControl& control, GenerationObserver& observer);

}  // namespace hadal::cli
