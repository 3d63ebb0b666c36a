// The output of V3, R1 and V3.1, taken apart while it arrives: a machine behind OutputParser, without a tokenizer.
//
//   turn  := [ reasoning "</think>" ] content [ calls ] EOS
//   calls := CALLS-BEGIN { CALL-BEGIN call CALL-END } CALLS-END                 in capitals: tokens of their own
//   call  := NAME SEP ARGUMENTS                                                 V3.1
//          | "function" SEP NAME "\n```json\n" ARGUMENTS "\n```"                V3, R1
//
// Both forms are read in every generation: what stands between SEP and the first `{` tells them apart. ARGUMENTS is one
// JSON object; a call is complete with its last brace. Source: the chat templates of the releases, which only write
// calls; docs/prompt.md lists what becomes of output that is no such turn.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "prompt/turn_parser.h"
#include "prompt/turn_writer.h"
#include "prompt/whole_characters.h"

namespace hadal::tool_tokens {

// What stands in front of the arguments of a call breaks it when it is longer. Names of tools have at most 64
// characters in the APIs.
inline constexpr size_t kCallHeadBytesMax = 4096;

// Finds the end of a JSON object while it arrives, by its brackets and strings alone: whether it is JSON is asked when
// it is whole.
class ObjectEnd {
 public:
  // How many bytes at the front of text belong to the object. The first byte of all is its `{`.
  size_t scan(std::string_view text);
  bool is_whole() const { return is_whole_; }
  // Of the bytes so far, how many at the end begin an escape that is not complete.
  size_t open_escape_bytes() const { return escape_bytes_; }

 private:
  void take(char c);

  int depth_ = 0;
  bool is_whole_ = false;
  bool is_string_ = false;
  size_t escape_bytes_ = 0;       // of the escape that is being read
  size_t escape_bytes_left_ = 0;  // until it is complete, as far as is known
};

class Parser final : public TurnParser {
 public:
  explicit Parser(bool starts_in_reasoning) : state_(starts_in_reasoning ? State::kReasoning : State::kContent) {}

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
    kCalls,      // inside a block, between calls: text there is dropped
    kName,       // of a call, in front of SEP
    kHead,       // of a call, between SEP and `{`
    kArguments,  // of a call
    kAfter,      // behind the calls that end the content: what comes here is not part of the turn
    kDone,
  };

  bool is_text() const { return state_ == State::kReasoning || state_ == State::kContent; }
  bool is_inside_call() const {
    return state_ == State::kName || state_ == State::kHead || state_ == State::kArguments;
  }

  void take_text(std::string_view text, Events& events);
  void take_head(std::string_view text, Events& events);
  void take_arguments(std::string_view text, Events& events);
  void take_think(Marker marker, Events& events);

  void enter_block();
  void leave_call(Events& events);
  void begin_call(Events& events);
  void end_call(Events& events);
  void break_call(std::string_view why, Events& events);
  void end_turn(Events& events);

  State state_;
  State behind_block_ = State::kAfter;  // where the text goes on when the open block ends
  WholeCharacters characters_;
  std::string name_;       // what stood in front of SEP
  std::string head_;       // what stood behind it, in front of `{`
  std::string arguments_;  // the object so far
  size_t told_bytes_ = 0;  // of it, in events
  ObjectEnd object_;
  TurnWriter writer_;
};

}  // namespace hadal::tool_tokens
