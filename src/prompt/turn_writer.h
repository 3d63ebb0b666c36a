// Writes down what a parser of output found: as events, and as the message so far. So the two are always the same.
#pragma once

#include <string_view>
#include <vector>

#include "prompt/message.h"
#include "prompt/output_event.h"

namespace hadal {

class TurnWriter {
 public:
  TurnWriter() { message_.role = Role::kAssistant; }

  // Deltas join those of the same push and no earlier ones. All calls until the next begin_push take the same events.
  void begin_push(const std::vector<OutputEvent>& events) { first_event_ = events.size(); }

  void text(std::vector<OutputEvent>& events, bool is_reasoning, std::string_view text);

  void begin_call(std::vector<OutputEvent>& events, std::string_view name);
  void arguments(std::vector<OutputEvent>& events, std::string_view delta);
  // arguments: all deltas joined.
  void end_call(std::vector<OutputEvent>& events, std::string_view arguments);
  // The open call is lost, or one that never began.
  void break_call(std::vector<OutputEvent>& events, std::string_view why);

  const Message& message() const { return message_; }

 private:
  void emit(std::vector<OutputEvent>& events, OutputEvent::Kind kind, std::string_view text, int call_index = -1);

  size_t first_event_ = 0;
  int n_calls_ = 0;  // begun
  bool is_open_ = false;
  std::string name_;
  Message message_;
};

}  // namespace hadal
