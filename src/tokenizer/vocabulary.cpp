#include "tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "tokenizer/errors.h"

namespace hadal::tokenizer {
namespace {

// With random keys and half of the slots used, the longest search of a million keys is about 60 slots.
constexpr size_t kProbesMax = 256;

template <class Word>
uint64_t load(const char* p) {
  Word word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// Both halves of the 128-bit product: every input bit reaches every output bit.
uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Tokens are short: one or two loads and one multiplication up to 16 bytes.
uint64_t hash(std::string_view bytes) {
  constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15u;  // digits of the golden ratio
  constexpr uint64_t kOdd2 = 0xD6E8FEB86659FD93u;
  const char* p = bytes.data();
  size_t n = bytes.size();
  uint64_t h = n * kOdd2;
  while (n > 16) {
    h = mix(h ^ load<uint64_t>(p), kOdd1);
    p += 8;
    n -= 8;
  }
  uint64_t a = 0;
  uint64_t b = 0;
  if (n >= 8) {
    a = load<uint64_t>(p);
    b = load<uint64_t>(p + n - 8);
  } else if (n >= 4) {
    a = load<uint32_t>(p);
    b = load<uint32_t>(p + n - 4);
  } else if (n > 0) {
    a = load<uint8_t>(p) << 16 | load<uint8_t>(p + n / 2) << 8 | load<uint8_t>(p + n - 1);
  }
  return mix(a ^ h ^ kOdd1, b ^ kOdd2);
}

uint32_t tag_of(uint64_t h) {
  return static_cast<uint32_t>(h >> 32);
}

}  // namespace

Result<Vocabulary> Vocabulary::create(const std::vector<std::string>& bytes, const std::vector<bool>& is_searchable) {
  Vocabulary vocabulary;
  size_t total = 0;
  for (const std::string& token : bytes) total += token.size();
  vocabulary.blob_.reserve(total);
  vocabulary.begin_.reserve(bytes.size() + 1);
  for (const std::string& token : bytes) {
    vocabulary.blob_ += token;
    vocabulary.begin_.push_back(static_cast<uint32_t>(vocabulary.blob_.size()));
  }
  vocabulary.slots_.resize(std::bit_ceil(std::max<size_t>(2, bytes.size() * 2)));
  vocabulary.mask_ = vocabulary.slots_.size() - 1;
  for (size_t id = 0; id < bytes.size(); ++id) {
    if (is_searchable[id]) HADAL_TRY(vocabulary.insert(static_cast<TokenId>(id)));
  }
  return vocabulary;
}

Result<void> Vocabulary::insert(TokenId id) {
  const std::string_view key = bytes(id);
  longest_ = std::max(longest_, key.size());
  const uint64_t h = hash(key);
  size_t at = h & mask_;
  for (size_t probe = 0; probe < kProbesMax; ++probe, at = (at + 1) & mask_) {
    Slot& slot = slots_[at];
    if (slot.id == kNoToken) {
      slot = {.tag = tag_of(h), .id = id};
      return {};
    }
    if (slot.tag == tag_of(h) && bytes(slot.id) == key) {
      return make_error(ErrorCode::kCorrupt, "two tokens have the same bytes", "model.vocab", "each token once",
                        fmt::format("ids {} and {}", slot.id, id));
    }
  }
  return make_error(ErrorCode::kLimit, "too many tokens fall on one place of the hash table", "model.vocab",
                    "a vocabulary made by training", fmt::format("more than {} in a row", kProbesMax),
                    "this file was made to be slow; take it from its publisher");
}

TokenId Vocabulary::find(std::string_view key) const {
  const uint64_t h = hash(key);
  for (size_t at = h & mask_;; at = (at + 1) & mask_) {
    const Slot& slot = slots_[at];
    if (slot.id == kNoToken) return kNoToken;
    if (slot.tag == tag_of(h) && bytes_of(static_cast<size_t>(slot.id)) == key) return slot.id;
  }
}

}  // namespace hadal::tokenizer
