// What a parser of model output reports while the tokens arrive.
#pragma once

#include <string>

namespace hadal {

// What one token made certain. Deltas are whole UTF-8 characters.
struct OutputEvent {
  enum class Kind {
    kReasoning,      // text: more reasoning
    kContent,        // text: more of the answer
    kCallBegin,      // call_index, text: the tool's name
    kCallArguments,  // call_index, text: more of the arguments' JSON text, never cut inside an escape
    kCallEnd,        // call_index: the call is complete
    kCallBroken,     // call_index (or -1: it never began), text: why; what was parsed of it is dropped
  };
  Kind kind = Kind::kContent;
  std::string text;
  int call_index = -1;  // counts calls as they begin, broken ones included
  friend bool operator==(const OutputEvent&, const OutputEvent&) = default;
};

}  // namespace hadal
