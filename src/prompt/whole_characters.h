// Bytes of tokens, which may end inside a character, as whole characters.
#pragma once

#include <string>
#include <string_view>

#include "base/utf8.h"

namespace hadal {

class WholeCharacters {
 public:
  // The characters that are complete with these bytes; what is no UTF-8 becomes U+FFFD.
  std::string push(std::string_view bytes) {
    partial_ += bytes;
    const size_t complete = partial_.size() - utf8::incomplete_suffix(partial_);
    std::string text = utf8::sanitize(std::string_view(partial_).substr(0, complete));
    partial_.erase(0, complete);
    return text;
  }
  // A character that nothing completes, as U+FFFD.
  std::string finish() {
    std::string text = utf8::sanitize(partial_);
    partial_.clear();
    return text;
  }

 private:
  std::string partial_;
};

}  // namespace hadal
