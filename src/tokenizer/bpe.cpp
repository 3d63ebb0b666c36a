#include "tokenizer/bpe.h"

#include <algorithm>
#include <cstring>
#include <queue>

#include "base/check.h"

namespace hadal::tokenizer {

using Rank = MergeTable::Rank;

Bpe::Bpe(const BpeTables& tables)
    : tables_(tables), whole_(std::make_unique<std::atomic<Whole>[]>(static_cast<size_t>(tables.vocabulary.size()))) {}

uint64_t Bpe::memory_bytes() const {
  return sizeof *this + static_cast<uint64_t>(tables_.vocabulary.size()) * sizeof(Whole);
}

void Bpe::encode(std::string_view piece, std::vector<TokenId>& ids) const {
  if (piece.size() > tables_.vocabulary.longest()) return merge(piece, ids);
  const TokenId token = tables_.vocabulary.find(piece);
  if (token == kNoToken) return merge(piece, ids);
  std::atomic<Whole>& whole = whole_[static_cast<size_t>(token)];
  switch (whole.load(std::memory_order_relaxed)) {
    case Whole::kYes:
      ids.push_back(token);
      return;
    case Whole::kNo:
      return merge(piece, ids);
    case Whole::kUnknown:
      break;
  }
  const size_t before = ids.size();
  merge(piece, ids);
  const bool is_whole = ids.size() == before + 1 && ids.back() == token;
  whole.store(is_whole ? Whole::kYes : Whole::kNo, std::memory_order_relaxed);
}

void Bpe::merge(std::string_view piece, std::vector<TokenId>& ids) const {
  if (piece.size() <= kShortBytesMax) return merge_short(piece, ids);
  while (piece.size() > kPieceBytesMax) {
    merge_long(piece.substr(0, kPieceBytesMax), ids);
    piece.remove_prefix(kPieceBytesMax);
  }
  merge_long(piece, ids);
}

namespace {

// Without a branch, so that compilers use vectors.
Rank lowest_of(const Rank* ranks, size_t n) {
  Rank lowest = MergeTable::kNoRank;
  for (size_t i = 0; i < n; ++i) lowest = std::min(lowest, ranks[i]);
  return lowest;
}

}  // namespace

void Bpe::merge_short(std::string_view piece, std::vector<TokenId>& ids) const {
  HADAL_DCHECK(piece.size() <= kShortBytesMax, "piece is too long", piece.size());
  TokenId tokens[kShortBytesMax];
  Rank ranks[kShortBytesMax];  // ranks[i]: of tokens i and i + 1
  size_t n = piece.size();
  if (n == 0) return;
  for (size_t i = 0; i < n; ++i) tokens[i] = tables_.byte_token[static_cast<uint8_t>(piece[i])];
  for (size_t i = 0; i + 1 < n; ++i) ranks[i] = tables_.merges.rank(tokens[i], tokens[i + 1]);
  while (n > 1) {
    const Rank rank = lowest_of(ranks, n - 1);
    if (rank == MergeTable::kNoRank) break;
    const auto lowest = static_cast<size_t>(std::find(ranks, ranks + n - 1, rank) - ranks);
    tokens[lowest] = tables_.merges.merged(rank);
    std::memmove(tokens + lowest + 1, tokens + lowest + 2, (n - lowest - 2) * sizeof(TokenId));
    std::memmove(ranks + lowest, ranks + lowest + 1, (n - lowest - 2) * sizeof(Rank));
    --n;
    if (lowest > 0) ranks[lowest - 1] = tables_.merges.rank(tokens[lowest - 1], tokens[lowest]);
    if (lowest + 1 < n) ranks[lowest] = tables_.merges.rank(tokens[lowest], tokens[lowest + 1]);
  }
  ids.insert(ids.end(), tokens, tokens + n);
}

void Bpe::merge_long(std::string_view piece, std::vector<TokenId>& ids) const {
  HADAL_DCHECK(piece.size() <= kPieceBytesMax, "piece is too long", piece.size());
  // The tokens as a list through an array; a token that was merged into its left neighbour has length 0.
  struct Symbol {
    TokenId token;
    uint32_t bytes;
    uint32_t previous;
    uint32_t next;
  };
  constexpr uint32_t kNone = ~0u;
  const auto n = static_cast<uint32_t>(piece.size());
  if (n == 0) return;
  std::vector<Symbol> symbols(n);
  for (uint32_t i = 0; i < n; ++i) {
    symbols[i] = {.token = tables_.byte_token[static_cast<uint8_t>(piece[i])],
                  .bytes = 1,
                  .previous = i == 0 ? kNone : i - 1,
                  .next = i + 1 == n ? kNone : i + 1};
  }

  // Rank, then place. An entry is stale when its two tokens have grown since; what they were spans fewer bytes.
  struct Pair {
    Rank rank;
    uint32_t left;
    uint32_t bytes;
  };
  const auto is_later = [](const Pair& a, const Pair& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
  };
  std::vector<Pair> storage;
  storage.reserve(n);
  std::priority_queue<Pair, std::vector<Pair>, decltype(is_later)> pairs(is_later, std::move(storage));
  const auto offer = [&](uint32_t left) {
    if (left == kNone || symbols[left].next == kNone) return;
    const Symbol& right = symbols[symbols[left].next];
    const Rank rank = tables_.merges.rank(symbols[left].token, right.token);
    if (rank != MergeTable::kNoRank) {
      pairs.push({.rank = rank, .left = left, .bytes = symbols[left].bytes + right.bytes});
    }
  };
  for (uint32_t i = 0; i < n; ++i) offer(i);

  while (!pairs.empty()) {
    const Pair pair = pairs.top();
    pairs.pop();
    Symbol& left = symbols[pair.left];
    if (left.bytes == 0 || left.next == kNone || left.bytes + symbols[left.next].bytes != pair.bytes) continue;
    Symbol& right = symbols[left.next];
    left.token = tables_.merges.merged(pair.rank);
    left.bytes = pair.bytes;
    right.bytes = 0;
    left.next = right.next;
    if (left.next != kNone) symbols[left.next].previous = pair.left;
    offer(left.previous);
    offer(pair.left);
  }
  for (uint32_t i = 0; i != kNone; i = symbols[i].next) ids.push_back(symbols[i].token);
}

}  // namespace hadal::tokenizer
