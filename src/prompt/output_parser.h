// The model's output, token by token, taken apart into reasoning, answer and tool calls (V4's DSML form).
//
// Markers are recognised by token id (</think>, ｜DSML｜, EOS), never by characters: look-alikes in text are content.
// Nothing of the markup ever reaches reasoning or content. Sources: encoding/encoding_dsv4.py (parse_message_from_
// completion_text) and the tolerances of docs/prompt.md.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prompt/message.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

// What one token made certain. Deltas are UTF-8 and may be empty.
struct OutputEvent {
  enum class Kind {
    kReasoning,        // text: more reasoning
    kContent,          // text: more of the answer
    kCallBegin,        // call_index, text: the tool's name
    kCallArguments,    // call_index, text: more of the arguments' JSON text
    kCallEnd,          // call_index: the call is complete
    kCallBroken,       // call_index (or -1), text: why; what was parsed of it is dropped
  };
  Kind kind = Kind::kContent;
  std::string text;
  int call_index = -1;
};

class OutputParser {
 public:
  // The tokenizer must outlive the parser. starts_in_reasoning as Prompt says. Without tools, DSML markup is still
  // recognised and reported, so that it cannot leak.
  OutputParser(const Tokenizer& tokenizer, bool starts_in_reasoning);
  ~OutputParser();
  OutputParser(OutputParser&&) noexcept;
  OutputParser& operator=(OutputParser&&) noexcept;

  // Takes one token and appends what became certain. After EOS, further tokens are ignored.
  void push(TokenId id, std::vector<OutputEvent>& events);
  // The output ended (EOS, stop string or length limit): flushes held text, drops an incomplete call.
  void finish(std::vector<OutputEvent>& events);

  bool is_done() const;  // EOS was seen or finish() was called
  bool in_reasoning() const;

  // Everything so far as a message: reasoning, content, complete calls (ids are minted by the caller).
  const Message& message() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
