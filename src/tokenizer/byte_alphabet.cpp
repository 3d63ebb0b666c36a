#include "tokenizer/byte_alphabet.h"

#include "base/utf8.h"

namespace hadal::tokenizer {

ByteAlphabet::ByteAlphabet() {
  byte_of_.fill(-1);
  uint16_t next = 0x100;
  for (uint16_t byte = 0; byte < 256; ++byte) {
    const bool is_itself =
        (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
    const uint16_t code_point = is_itself ? byte : next++;
    code_point_of_[byte] = code_point;
    byte_of_[code_point] = static_cast<int16_t>(byte);
  }
}

bool ByteAlphabet::append_bytes(std::string_view spelled, std::string& bytes) const {
  const size_t before = bytes.size();
  while (!spelled.empty()) {
    const utf8::Decoded letter = utf8::decode(spelled);
    const bool is_known = letter.valid && letter.code_point < kCodePoints && byte_of_[letter.code_point] >= 0;
    if (!is_known) {
      bytes.resize(before);
      return false;
    }
    bytes += static_cast<char>(byte_of_[letter.code_point]);
    spelled.remove_prefix(static_cast<size_t>(letter.length));
  }
  return true;
}

std::string ByteAlphabet::spelling(uint8_t byte) const {
  std::string text;
  utf8::append(text, code_point_of_[byte]);
  return text;
}

}  // namespace hadal::tokenizer
