// Conversations on disk: the messages as JSON that anyone can read, and beside it the state that spares reading them
// again.
//
//   $XDG_STATE_HOME/hadal/conversations/NAME.json    version, model, system prompt, thinking, tools, messages
//                                      /NAME.state   Engine::save's bytes; may be missing or of another model
//
// Both are written atomically and for their owner alone (0600, folder 0700). The state comes first, so that whatever
// stops the writing leaves a readable conversation: a state that fits badly only means more tokens to read again.
#pragma once

#include <optional>
#include <string>

#include "base/io.h"
#include "conversation.h"
#include "engine/engine.h"

namespace hadal::cli {

// $XDG_STATE_HOME/hadal, or $HOME/.local/state/hadal. NotFound when neither variable is an absolute path.
Result<fs::path> state_folder();

// Returns where the JSON file is. `name` has passed parse_chat_command. Errors: Io, naming the file.
Result<fs::path> save_conversation(const Conversation& conversation, const Engine& engine, SequenceId id,
                                   const std::string& name);

struct SavedConversation {
  Conversation conversation;
  std::string model_identity;  // of the model that it was held with
};

// What a NAME.json holds; the path is for messages. Errors: Corrupt, Invalid, Unsupported.
Result<SavedConversation> parse_conversation(const json::Value& value, const fs::path& path);

struct ResumedConversation {
  Conversation conversation;
  SequenceId id = 0;                   // opened in the engine: restored, or empty
  std::optional<Error> state_problem;  // why the state is not used
};

// Errors: NotFound (no such conversation; lists those that are there), Corrupt, Unsupported, Io. The engine is as
// before then.
Result<ResumedConversation> resume_conversation(Engine& engine, const std::string& name);

}  // namespace hadal::cli
