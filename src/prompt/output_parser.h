// The model's output, token by token, taken apart into reasoning, answer and tool calls.
//
// Markers are recognised by token id (<think>, </think>, ｜DSML｜, <｜tool▁call▁begin｜>, EOS, ...), never by
// characters: look-alikes in text are content. (A tokenizer without a token for what the encoding needs is the
// exception: spelled_markers.h.) Nothing of the markup ever reaches reasoning or content. Sources: the encoders and
// chat templates that prompt_encoding.h names, and the tolerances of docs/prompt.md.
#pragma once

#include <memory>
#include <vector>

#include "base/json.h"
#include "prompt/message.h"
#include "prompt/output_event.h"
#include "prompt/prompt_encoding.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

class OutputParser {
 public:
  // The tokenizer must outlive the parser. starts_in_reasoning as Prompt says. Without tools, calls are still
  // recognised and reported, so that they cannot leak.
  OutputParser(const Tokenizer& tokenizer, PromptEncoding encoding, bool starts_in_reasoning);
  // tools: the request's list. In DSML it decides one thing: a single parameter `arguments` or `input` that holds an
  // object is taken for all arguments, unless the tool declares a parameter of that name.
  OutputParser(const Tokenizer& tokenizer, PromptEncoding encoding, bool starts_in_reasoning, const json::Value& tools);
  ~OutputParser();
  OutputParser(OutputParser&&) noexcept;
  OutputParser& operator=(OutputParser&&) noexcept;

  // Takes one token and appends what became certain. After the end of the turn, further tokens are ignored. The turn
  // ends with EOS, and with any marker that begins another party's turn (BOS, <｜User｜>, <｜Assistant｜>, ...): what
  // would follow is not the assistant's. Other added tokens are dropped, but inside arguments they are their text.
  void push(TokenId id, std::vector<OutputEvent>& events);
  // The output ended (EOS, stop string or length limit): flushes held text, drops an incomplete call.
  void finish(std::vector<OutputEvent>& events);

  bool is_done() const;       // the turn ended or finish() was called
  bool in_reasoning() const;  // what comes next is reasoning, as far as is known

  // Everything so far as a message: reasoning, content, complete calls (ids are minted by the caller).
  const Message& message() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
