// What parsers of model output have in common: markers and the bytes between them go in, events come out.
//
// One per syntax of tool calls (dsml_parser.h, tool_token_parser.h). None knows a tokenizer: OutputParser says which
// token is which marker.
#pragma once

#include <string_view>
#include <vector>

#include "prompt/markers.h"
#include "prompt/message.h"
#include "prompt/output_event.h"

namespace hadal {

class TurnParser {
 public:
  virtual ~TurnParser() = default;

  // The bytes of an ordinary token; they may end inside a character.
  virtual void push_text(std::string_view bytes, std::vector<OutputEvent>& events) = 0;
  // spelling: of the token, for arguments that hold it.
  virtual void push_marker(Marker marker, std::string_view spelling, std::vector<OutputEvent>& events) = 0;
  // The output ended: flushes held text, drops an incomplete call.
  virtual void finish(std::vector<OutputEvent>& events) = 0;

  virtual bool is_done() const = 0;       // the turn ended or finish() was called
  virtual bool in_reasoning() const = 0;  // what comes next is reasoning, as far as is known
  virtual const Message& message() const = 0;
};

}  // namespace hadal
