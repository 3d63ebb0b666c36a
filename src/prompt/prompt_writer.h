// Builds the pieces of a prompt: what the renderer wrote itself, and what users and tools control.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "prompt/prompt_encoding.h"

namespace hadal {

class PromptWriter {
 public:
  // Text of the encoding itself: spellings of markers in it become tokens.
  void markup(std::string_view text) { append(text, /*is_template=*/true); }
  // Text that someone else controls: spellings of markers in it stay text. Broken UTF-8 becomes U+FFFD, so that the
  // prompt's bytes are the bytes of its tokens.
  void content(std::string_view text);

  size_t bytes() const { return bytes_; }
  // Whether the last thing written is markup that ends so.
  bool ends_with_markup(std::string_view suffix) const;

  std::vector<PromptPiece> take() { return std::exchange(pieces_, {}); }

 private:
  void append(std::string_view text, bool is_template);

  std::vector<PromptPiece> pieces_;
  size_t bytes_ = 0;
};

}  // namespace hadal
