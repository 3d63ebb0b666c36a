// The merges of BPE: which two neighbouring tokens become one, and in which order.
//
// A hash table with linear probing, one 64-bit word a slot (left 20 bits, right 20, rank 21), at most half full: 2 MB
// for 127,741 merges, small enough to stay in a core's cache.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "tokenizer/vocabulary.h"

namespace hadal::tokenizer {

inline constexpr int64_t kMergesMax = (int64_t{1} << 21) - 2;

class MergeTable {
 public:
  using Rank = int32_t;  // place in the list of merges; the lowest is done first
  static constexpr Rank kNoRank = (1 << 21) - 1;

  // Room for n_merges, at most kMergesMax.
  explicit MergeTable(size_t n_merges);

  // The next merge, of rank size(): left and right become merged. Corrupt when the pair is there already; Limit when
  // the hash table degenerates, which takes a file made for it. Ids are in the vocabulary.
  Result<void> add(TokenId left, TokenId right, TokenId merged);

  size_t size() const { return merged_.size(); }

  // kNoRank when the two do not merge.
  Rank rank(TokenId left, TokenId right) const {
    const uint64_t pair = pair_of(left, right);
    for (size_t at = place(pair);; at = (at + 1) & mask_) {
      const uint64_t slot = slots_[at];
      if (slot >> kRankBits == pair) return static_cast<Rank>(slot & kRankMask);
      if (slot == kEmpty) return kNoRank;
    }
  }
  TokenId merged(Rank rank) const { return merged_[static_cast<size_t>(rank)]; }

  uint64_t memory_bytes() const { return slots_.capacity() * sizeof(uint64_t) + merged_.capacity() * sizeof(TokenId); }

 private:
  static constexpr int kRankBits = 21;
  static constexpr uint64_t kRankMask = (uint64_t{1} << kRankBits) - 1;
  static constexpr uint64_t kEmpty = ~uint64_t{0};  // no slot has it: its pair would need 43 bits

  static uint64_t pair_of(TokenId left, TokenId right) {
    return static_cast<uint64_t>(left) << 20 | static_cast<uint64_t>(right);
  }
  // Fibonacci hashing: the top bits of the product depend on all bits of the pair.
  size_t place(uint64_t pair) const { return (pair * 0x9E3779B97F4A7C15u) >> shift_; }

  std::vector<uint64_t> slots_;
  size_t mask_;
  int shift_;
  std::vector<TokenId> merged_;  // by rank
};

}  // namespace hadal::tokenizer
