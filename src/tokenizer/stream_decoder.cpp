// StreamDecoder (tokenizer.h): what it has given out plus finish() is what Tokenizer::decode gives for all ids.
#include "base/utf8.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

std::string StreamDecoder::push(TokenId id) {
  if (!skip_special_ || !tokenizer_->is_special(id)) held_ += tokenizer_->token_bytes(id);
  const size_t certain = held_.size() - utf8::incomplete_suffix(held_);
  std::string text = utf8::sanitize(std::string_view(held_).substr(0, certain));
  held_.erase(0, certain);
  return text;
}

std::string StreamDecoder::finish() {
  std::string text = utf8::sanitize(held_);
  held_.clear();
  return text;
}

}  // namespace hadal
