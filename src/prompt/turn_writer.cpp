#include "prompt/turn_writer.h"

namespace hadal {

using Kind = OutputEvent::Kind;

void TurnWriter::emit(std::vector<OutputEvent>& events, Kind kind, std::string_view text, int call_index) {
  const bool is_delta = kind == Kind::kReasoning || kind == Kind::kContent || kind == Kind::kCallArguments;
  if (is_delta && events.size() > first_event_ && events.back().kind == kind) {
    events.back().text += text;  // of the same call: between two calls' arguments stands a kCallEnd
  } else {
    events.push_back({.kind = kind, .text = std::string(text), .call_index = call_index});
  }
}

void TurnWriter::text(std::vector<OutputEvent>& events, bool is_reasoning, std::string_view text) {
  if (text.empty()) return;
  if (is_reasoning) {
    message_.reasoning_content += text;
    emit(events, Kind::kReasoning, text);
  } else {
    if (message_.content.empty()) message_.content.emplace_back();
    message_.content.back().text += text;
    emit(events, Kind::kContent, text);
  }
}

void TurnWriter::begin_call(std::vector<OutputEvent>& events, std::string_view name) {
  name_ = name;
  is_open_ = true;
  emit(events, Kind::kCallBegin, name_, n_calls_++);
}

void TurnWriter::arguments(std::vector<OutputEvent>& events, std::string_view delta) {
  if (!delta.empty()) emit(events, Kind::kCallArguments, delta, n_calls_ - 1);
}

void TurnWriter::end_call(std::vector<OutputEvent>& events, std::string_view arguments) {
  message_.tool_calls.push_back({.id = "", .name = name_, .arguments = std::string(arguments)});
  emit(events, Kind::kCallEnd, "", n_calls_ - 1);
  is_open_ = false;
}

void TurnWriter::break_call(std::vector<OutputEvent>& events, std::string_view why) {
  emit(events, Kind::kCallBroken, why, is_open_ ? n_calls_ - 1 : -1);
  is_open_ = false;
}

}  // namespace hadal
