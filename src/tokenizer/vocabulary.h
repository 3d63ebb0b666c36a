// Token ids and their bytes, both ways.
//
// The bytes of all tokens lie in one string. A hash table with linear probing finds the id of a byte string: 8 bytes a
// slot, at most half full, so 2 MB for 128,000 tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokenizer/added_tokens.h"

namespace hadal::tokenizer {

// Ids are below this: 20 bits each, so that a pair of them and a rank fit 64 bits (merge_table.h). V4 has 129,280.
inline constexpr int64_t kVocabMax = int64_t{1} << 20;
// DeepSeek's longest token has 128 bytes.
inline constexpr size_t kTokenBytesMax = 4096;

inline constexpr TokenId kNoToken = -1;

class Vocabulary {
 public:
  // bytes[id] is the token's content. Tokens with is_searchable[id] can be found by their bytes, which must differ;
  // the others (added tokens) cannot. Corrupt when two are equal; Limit when the hash table degenerates, which takes
  // a file made for it.
  static Result<Vocabulary> create(const std::vector<std::string>& bytes, const std::vector<bool>& is_searchable);

  int64_t size() const { return static_cast<int64_t>(begin_.size()) - 1; }
  size_t longest() const { return longest_; }  // bytes of the longest token that can be found

  // Empty for an id outside the vocabulary.
  std::string_view bytes(TokenId id) const {
    if (id < 0 || id >= size()) return {};
    return bytes_of(static_cast<size_t>(id));
  }

  TokenId find(std::string_view bytes) const;

  uint64_t memory_bytes() const {
    return blob_.capacity() + begin_.capacity() * sizeof(uint32_t) + slots_.capacity() * sizeof(Slot);
  }

 private:
  struct Slot {
    uint32_t tag = 0;  // of the hash; compared before the bytes
    TokenId id = kNoToken;
  };

  std::string_view bytes_of(size_t id) const {
    return {blob_.data() + begin_[id], static_cast<size_t>(begin_[id + 1] - begin_[id])};
  }
  Result<void> insert(TokenId id);

  std::string blob_;
  std::vector<uint32_t> begin_ = {0};
  std::vector<Slot> slots_;
  size_t mask_ = 0;
  size_t longest_ = 0;
};

}  // namespace hadal::tokenizer
