// The character classes that DeepSeek's pre-tokenizer asks for, one byte of flags per code point.
//
// Two levels: a page number for each 128 code points, then the flags. The 8,704 pages of Unicode share what is uniform
// (all of Han, all that is unassigned), which leaves about 300 distinct ones: 40 KB, of which one language uses a few.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace hadal::tokenizer {

// The CJK range of the second Split ([一-龥぀-ヿ]) has letters, marks, symbols and unassigned code points; its
// flags are other bits than those of the rest of Unicode, so that a run of letters ends where that Split would have
// cut.
enum CharClass : uint8_t {
  kLetter = 1 << 0,     // \p{L} or \p{M} outside the CJK range
  kSymbol = 1 << 1,     // \p{P} or \p{S} outside the CJK range
  kSpace = 1 << 2,      // \s
  kNewline = 1 << 3,    // [\r\n]
  kCjkLetter = 1 << 4,  // as kLetter, inside the CJK range
  kCjkSymbol = 1 << 5,  // as kSymbol, inside the CJK range
  kNumber = 1 << 6,     // \p{N}
  kCjk = 1 << 7,        // the CJK range
};

class CharClasses {
 public:
  CharClasses();

  uint8_t of(uint32_t code_point) const { return flags_[page_of_[code_point / kPage] + code_point % kPage]; }

  // The class of the character at p and its length in bytes. The text is valid UTF-8.
  uint8_t at(const char* p, int& length) const {
    const auto b0 = static_cast<uint8_t>(p[0]);
    if (b0 < 0x80) {
      length = 1;
      return flags_[b0];  // page 0 comes first
    }
    const auto tail = [p](int i) { return static_cast<uint32_t>(static_cast<uint8_t>(p[i]) & 0x3F); };
    if (b0 < 0xE0) {
      length = 2;
      return of((b0 & 0x1Fu) << 6 | tail(1));
    }
    if (b0 < 0xF0) {
      length = 3;
      return of((b0 & 0x0Fu) << 12 | tail(1) << 6 | tail(2));
    }
    length = 4;
    return of((b0 & 0x07u) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3));
  }

  uint64_t memory_bytes() const { return sizeof page_of_ + flags_.size(); }

 private:
  static constexpr uint32_t kCodePoints = 0x110000;
  static constexpr uint32_t kPage = 128;  // page 0 is ASCII
  std::array<uint32_t, kCodePoints / kPage> page_of_;
  std::vector<uint8_t> flags_;
};

}  // namespace hadal::tokenizer
