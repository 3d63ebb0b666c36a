#include "tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "tokenizer/errors.h"
#include "tokenizer/token_hash.h"

namespace hadal::tokenizer {
namespace {

// With random keys and half of the slots used, the longest search of a million keys is about 60 slots.
constexpr size_t kProbesMax = 256;

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
  const uint64_t h = token_hash(key);
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
  const uint64_t h = token_hash(key);
  for (size_t at = h & mask_;; at = (at + 1) & mask_) {
    const Slot& slot = slots_[at];
    if (slot.id == kNoToken) return kNoToken;
    if (slot.tag == tag_of(h) && bytes_of(static_cast<size_t>(slot.id)) == key) return slot.id;
  }
}

}  // namespace hadal::tokenizer
