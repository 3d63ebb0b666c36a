#include "base/utf8.h"

#include <simdjson.h>

namespace hadal::utf8 {
namespace {

struct Lead {
  int length;         // of the whole sequence; 0 when the byte cannot begin one
  unsigned char low;  // range of the second byte (Unicode 15, table 3-7)
  unsigned char high;
};

Lead lead(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// How many bytes at the front of text fit the sequence that its first byte announces, at most its length.
int matching_bytes(std::string_view text, const Lead& l) {
  int n = 1;
  while (n < l.length && n < static_cast<int>(text.size())) {
    const auto byte = static_cast<unsigned char>(text[static_cast<size_t>(n)]);
    const unsigned char low = n == 1 ? l.low : 0x80;
    const unsigned char high = n == 1 ? l.high : 0xBF;
    if (byte < low || byte > high) break;
    ++n;
  }
  return n;
}

}  // namespace

Decoded decode(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const Lead l = lead(first);
  if (l.length == 1) return {first, 1, true};
  if (l.length == 0) return {kReplacement, 1, false};
  const int n = matching_bytes(text, l);
  if (n < l.length) return {kReplacement, n, false};
  char32_t code_point = first & (0xFFu >> (l.length + 1));
  for (int i = 1; i < n; ++i)
    code_point = (code_point << 6) | (static_cast<unsigned char>(text[static_cast<size_t>(i)]) & 0x3Fu);
  return {code_point, n, true};
}

void append(std::string& out, char32_t c) {
  const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

bool is_valid(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

size_t incomplete_suffix(std::string_view text) {
  // A sequence is at most 4 bytes: look for its lead in the last three.
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const std::string_view tail = text.substr(text.size() - back);
    const Lead l = lead(static_cast<unsigned char>(tail[0]));
    if (l.length == 0) continue;
    const bool is_open = l.length > static_cast<int>(back) && matching_bytes(tail, l) == static_cast<int>(back);
    return is_open ? back : 0;
  }
  return 0;
}

std::string_view front(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  text = text.substr(0, bytes_max);
  return text.substr(0, text.size() - incomplete_suffix(text));
}

std::string sanitize(std::string_view text) {
  if (is_valid(text)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const Decoded d = decode(text);
    if (d.valid) {
      out.append(text.substr(0, static_cast<size_t>(d.length)));
    } else {
      append(out, kReplacement);
    }
    text.remove_prefix(static_cast<size_t>(d.length));
  }
  return out;
}

}  // namespace hadal::utf8
