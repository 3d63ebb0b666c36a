// Lines to messages: how a message of several lines is typed.
//
//   a line that ends in \            goes on in the next line
//   """ ... """                      everything between, over any number of lines (as in Ollama)
//
// Two backslashes at the end are text. A pasted text of several lines comes as one line that holds line feeds.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hadal {

inline constexpr size_t kMessageBytesMax = size_t{4} << 20;  // a million tokens of English text

class MessageLines {
 public:
  // Takes a line without its end; true when the message is complete. Errors: Limit when it is too long; the message is
  // dropped then.
  Result<bool> push(std::string_view line);

  // Whether a message was begun and is not complete.
  bool is_open() const { return state_ != State::kEmpty; }

  // The message, complete or not; empty afterwards.
  std::string take();

 private:
  enum class State { kEmpty, kContinued, kBlock };

  bool push_block_line(std::string_view line);

  State state_ = State::kEmpty;
  std::string text_;
};

}  // namespace hadal
