// V3.2's and V4's output, taken apart while it arrives: a machine behind OutputParser, without a tokenizer.
//
//   turn   := [ reasoning "</think>" ] content [ "\n\n" calls ] EOS
//   calls  := "<M tool_calls>\n" { invoke "\n" } "</M tool_calls>"                     M: the token ｜DSML｜
//   invoke := "<M invoke name=\"" NAME "\">\n" { parameter "\n" } [ "\n" ] "</M invoke>"
//
// It is fed with markers (tokens) and the bytes between them. Text is emitted as soon as it cannot be part of a tag;
// of text held back nothing is lost when the output ends. V3.2 says function_calls for tool_calls. Source:
// parse_message_from_completion_text of encoding/encoding_dsv4.py and encoding_dsv32.py, which raise where this machine
// recovers; docs/prompt.md lists how.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "prompt/dsml_arguments.h"
#include "prompt/dsml_tag.h"
#include "prompt/turn_parser.h"
#include "prompt/turn_writer.h"
#include "prompt/whole_characters.h"

namespace hadal::dsml {

class Parser final : public TurnParser {
 public:
  // tools: the request's list, or null when it is not known (OutputParser says what it is for).
  Parser(bool starts_in_reasoning, const json::Value& tools);

  void push_text(std::string_view bytes, std::vector<OutputEvent>& events) override;
  void push_marker(Marker marker, std::string_view spelling, std::vector<OutputEvent>& events) override;
  void finish(std::vector<OutputEvent>& events) override;

  bool is_done() const override { return state_ == State::kDone; }
  bool in_reasoning() const override { return state_ == State::kReasoning; }
  const Message& message() const override { return writer_.message(); }

 private:
  using Events = std::vector<OutputEvent>;
  enum class State {
    kReasoning,
    kContent,
    kCalls,   // inside tool_calls, between calls
    kInvoke,  // inside a call, between parameters
    kValue,   // inside a parameter
    kSkip,    // inside a broken call, up to its end
    kAfter,   // behind the calls that end the content: what comes here is not part of the turn
    kDone,
  };

  bool is_text() const { return state_ == State::kReasoning || state_ == State::kContent; }
  bool is_inside_call() const { return state_ == State::kInvoke || state_ == State::kValue; }

  void run(Events& events);
  bool step(Events& events);  // false: more input decides
  bool step_text(Events& events);
  bool step_calls(Events& events);
  bool step_invoke(Events& events);
  bool step_value(Events& events);
  bool step_skip();
  bool step_after();

  void settle_text(Events& events);
  void enter_calls();
  void end_block(Events& events);
  void end_turn(Events& events);

  void emit_text(Events& events, size_t bytes);
  void begin_call(Events& events, const Tag& tag);
  void begin_parameter(Events& events, const Tag& tag);
  void emit_arguments(Events& events);
  void end_call(Events& events);
  void break_call(Events& events, std::string_view why);

  void consume(size_t bytes) { buffer_.erase(0, bytes); }
  bool is_wrapper(std::string_view key) const;

  State state_;
  State behind_block_ = State::kAfter;  // where the text goes on when the open block ends
  WholeCharacters characters_;
  std::string buffer_;  // valid UTF-8 and marker bytes that no state has consumed
  TurnWriter writer_;

  std::string tool_;
  Arguments arguments_;
  std::vector<std::pair<std::string, std::string>> real_wrappers_;  // (tool, parameter) that is named like a wrapper
};

}  // namespace hadal::dsml
