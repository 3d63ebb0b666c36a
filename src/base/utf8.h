// UTF-8: checking, decoding, and the part of a text that ends at a whole character.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hadal::utf8 {

inline constexpr char32_t kReplacement = 0xFFFD;

struct Decoded {
  char32_t code_point;  // kReplacement when the bytes are not UTF-8
  int length;           // bytes consumed, at least 1
  bool valid;
};

// Decodes the character at the front of text, which is not empty. Broken bytes give one replacement per maximal
// subpart, as WHATWG and Rust do.
Decoded decode(std::string_view text);

void append(std::string& out, char32_t code_point);

bool is_valid(std::string_view text);

// How many bytes at the end of text begin a character that is not complete yet (0 to 3): what a stream holds back.
size_t incomplete_suffix(std::string_view text);

// The front of text that has at most bytes_max bytes and ends at a whole character: for messages that show a text.
std::string_view front(std::string_view text, size_t bytes_max);

// Broken sequences replaced by U+FFFD.
std::string sanitize(std::string_view text);

}  // namespace hadal::utf8
