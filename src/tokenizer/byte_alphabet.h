// The byte alphabet of byte-level BPE: each of the 256 bytes is spelled as one printable character.
//
//   bytes 0x21..0x7E, 0xA1..0xAC, 0xAE..0xFF   the character with that code point
//   the other 68, in rising order              U+0100, U+0101, ... U+0143   (space is U+0120 "Ġ", line feed U+010A "Ċ")
//
// Source: GPT-2's encoder (bytes_to_unicode); tokenizer.json spells its vocabulary and merges in it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hadal::tokenizer {

class ByteAlphabet {
 public:
  ByteAlphabet();

  // Appends the bytes that `spelled` stands for and returns true; false when a character is not of the alphabet, and
  // then `bytes` is as it was.
  bool append_bytes(std::string_view spelled, std::string& bytes) const;

  // How the byte is spelled.
  std::string spelling(uint8_t byte) const;

 private:
  static constexpr size_t kCodePoints = 0x144;  // one past the largest letter
  std::array<int16_t, kCodePoints> byte_of_;    // -1: not a letter
  std::array<uint16_t, 256> code_point_of_;
};

}  // namespace hadal::tokenizer
