// Commands of the chat: a message that begins with "/" and a word.
//
// One table says the name, the arguments and the line of /help of each; parsing, help and completion read it. Parsing
// is pure: it checks form, not whether a file or a saved conversation exists.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hadal {

struct ChatCommand {
  enum class Kind { kHelp, kThink, kSystem, kSet, kShow, kFile, kSave, kResume, kClear, kRetry, kUndo, kQuit };
  enum class Think { kOff, kOn, kLow, kHigh, kMax };

  Kind kind = Kind::kHelp;
  Think think = Think::kOn;  // kThink
  int effort_level = 0;      // kThink: 1..100, beside kOn; 0 when a word was given
  std::string name;          // kSet: the setting; kSave, kResume: the conversation
  std::string text;          // kSystem: the prompt, may be empty; kSet: the value; kFile: the path
};

// What may stand behind /think and --think, in words.
inline constexpr std::string_view kThinkWanted = "off, on, low, high, max or 1 to 100";

// Whether a message is meant as a command: "/" and letters, alone or before a space. "/usr/bin" is not; a space in
// front makes any text a message.
bool is_chat_command(std::string_view message);

// Errors: NotFound (no such command; names the nearest), Invalid (an argument is missing, too much or not one of the
// words), each with the usage line.
Result<ChatCommand> parse_chat_command(std::string_view message);

// All commands with their arguments and meaning, one a line.
std::string chat_help();

// "/clear", "/file", ... for completion.
std::vector<std::string> chat_command_names();

}  // namespace hadal
