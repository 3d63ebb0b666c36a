#include "tokenizer/merge_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "tokenizer/errors.h"

namespace hadal::tokenizer {
namespace {

// As in vocabulary.cpp.
constexpr size_t kProbesMax = 256;

}  // namespace

MergeTable::MergeTable(size_t n_merges) {
  HADAL_CHECK(n_merges <= static_cast<size_t>(kMergesMax), "too many merges", n_merges);
  slots_.assign(std::bit_ceil(std::max<size_t>(2, n_merges * 2)), kEmpty);
  mask_ = slots_.size() - 1;
  shift_ = 64 - std::countr_zero(slots_.size());
  merged_.reserve(n_merges);
}

Result<void> MergeTable::add(TokenId left, TokenId right, TokenId merged) {
  const uint64_t pair = pair_of(left, right);
  size_t at = place(pair);
  for (size_t probe = 0; probe < kProbesMax; ++probe, at = (at + 1) & mask_) {
    if (slots_[at] == kEmpty) {
      slots_[at] = pair << kRankBits | merged_.size();
      merged_.push_back(merged);
      return {};
    }
    if (slots_[at] >> kRankBits == pair) {
      return make_error(ErrorCode::kCorrupt, "merge is there twice", "", "each pair once",
                        fmt::format("the pair of merge {}", slots_[at] & kRankMask));
    }
  }
  return make_error(ErrorCode::kLimit, "too many merges fall on one place of the hash table", "", "trained merges",
                    fmt::format("more than {} in a row", kProbesMax),
                    "this file was made to be slow; take it from its publisher");
}

}  // namespace hadal::tokenizer
