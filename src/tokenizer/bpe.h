// Byte-pair encoding of one piece of text.
//
//   tokens = the bytes of the piece
//   while some neighbours merge: merge the pair of lowest rank, the leftmost of those
//
// Source: Sennrich, Haddow, Birch 2016, section 3.2, over bytes as in GPT-2.
//
// Three ways give this answer. A piece that is itself a token, and is known to come out as that token, is one look-up:
// four of five words of English. Other short pieces keep the rank of each neighbouring pair in an array and search it
// for the lowest: quadratic, but the array is short. Long ones keep the pairs in a heap: n log n.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tokenizer/bpe_tables.h"

namespace hadal::tokenizer {

// A longer piece is cut after this many bytes, so that the heap of a piece (44 bytes a byte) stays below 200 MB. Only
// runs without a boundary get there, of letters or of punctuation: no text that a model has seen.
inline constexpr size_t kPieceBytesMax = size_t{4} << 20;

class Bpe {
 public:
  // The tables outlive this object.
  explicit Bpe(const BpeTables& tables);

  // Appends the tokens of a piece. Thread-safe.
  void encode(std::string_view piece, std::vector<TokenId>& ids) const;

  // The two ways of merging, without the look-up; the same ids. For tests and benchmarks.
  void merge_short(std::string_view piece, std::vector<TokenId>& ids) const;  // piece of at most kShortBytesMax
  void merge_long(std::string_view piece, std::vector<TokenId>& ids) const;   // of at most kPieceBytesMax

  // Where the heap overtakes the array (tokenizer_bench, BM_merge).
  static constexpr size_t kShortBytesMax = 256;

  uint64_t memory_bytes() const;

 private:
  // Whether merging the bytes of a token gives that token. True for trained vocabularies, not for every file, and
  // trying all tokens at load would cost more than the load: so each is tried when its bytes first come as a piece.
  enum class Whole : uint8_t { kUnknown, kYes, kNo };

  void merge(std::string_view piece, std::vector<TokenId>& ids) const;

  const BpeTables& tables_;
  // One per token. Threads may store at once, but only the same answer, and nothing else hangs on it: relaxed order.
  std::unique_ptr<std::atomic<Whole>[]> whole_;
};

}  // namespace hadal::tokenizer
