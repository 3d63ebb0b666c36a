// The chat of `hadal run`: messages and commands from a line editor, answers streamed back.
#pragma once

#include <string>

#include "answer_printer.h"
#include "conversation.h"
#include "engine/engine.h"
#include "terminal/chat_settings.h"

namespace hadal::cli {

struct ChatOptions {
  Conversation conversation;
  ChatSettings settings;
  PrinterOptions printer;
  std::string first_message;  // answered before the first prompt, unless empty
  bool shows_speed = false;   // the line of tokens/s behind each answer
};

// Runs until the person leaves. Errors of a message or a command are shown and the chat goes on; only what makes any
// further answer impossible is returned. The exit code is 0.
Result<int> run_chat(Engine& engine, ChatOptions options);

}  // namespace hadal::cli
