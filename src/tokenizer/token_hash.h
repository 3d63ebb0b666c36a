// The hash of a token's bytes, for the table of the vocabulary. It is no defence against keys that were made to
// collide: the table counts its probes and refuses them (vocabulary.cpp).
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace hadal::tokenizer {

template <class Word>
inline uint64_t load_word(const char* p) {
  Word word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// Both halves of the 128-bit product: every input bit reaches every output bit.
inline uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Tokens are short: one or two loads and one multiplication up to 16 bytes.
inline uint64_t token_hash(std::string_view bytes) {
  constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15u;  // digits of the golden ratio
  constexpr uint64_t kOdd2 = 0xD6E8FEB86659FD93u;
  const char* p = bytes.data();
  size_t n = bytes.size();
  uint64_t h = n * kOdd2;
  while (n > 16) {
    h = mix(h ^ load_word<uint64_t>(p), kOdd1);
    p += 8;
    n -= 8;
  }
  uint64_t a = 0;
  uint64_t b = 0;
  if (n >= 8) {
    a = load_word<uint64_t>(p);
    b = load_word<uint64_t>(p + n - 8);
  } else if (n >= 4) {
    a = load_word<uint32_t>(p);
    b = load_word<uint32_t>(p + n - 4);
  } else if (n > 0) {
    a = load_word<uint8_t>(p) << 16 | load_word<uint8_t>(p + n / 2) << 8 | load_word<uint8_t>(p + n - 1);
  }
  return mix(a ^ h ^ kOdd1, b ^ kOdd2);
}

}  // namespace hadal::tokenizer
