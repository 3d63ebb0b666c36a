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
  for (size_t i = 0; i < spelled.size();) {
    // All letters have one or two bytes in UTF-8, so the general decoder is not needed; a vocabulary has a million.
    const auto lead = static_cast<uint8_t>(spelled[i++]);
    size_t code_point = lead;
    if (lead >= 0x80) {
      const auto tail = i < spelled.size() ? static_cast<uint8_t>(spelled[i++]) : uint8_t{0};
      const bool is_pair = lead >= 0xC2 && lead < 0xE0 && (tail & 0xC0) == 0x80;
      code_point = is_pair ? (lead & 0x1Fu) << 6 | (tail & 0x3Fu) : kCodePoints;
    }
    if (code_point >= kCodePoints || byte_of_[code_point] < 0) {
      bytes.resize(before);
      return false;
    }
    bytes += static_cast<char>(byte_of_[code_point]);
  }
  return true;
}

std::string ByteAlphabet::spelling(uint8_t byte) const {
  std::string text;
  utf8::append(text, code_point_of_[byte]);
  return text;
}

}  // namespace hadal::tokenizer
