#include "ops/index_select/topk_stream.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/check.h"

namespace hadal::ops {

uint64_t TopkStream::pack(float score, int64_t index) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
  // Negative numbers in reverse order below the positive ones.
  const uint32_t ordered = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return static_cast<uint64_t>(ordered) << 32 | (0xFFFFFFFFu - static_cast<uint32_t>(index));
}

void TopkStream::reset(int64_t k) {
  HADAL_CHECK(k >= 1, "topk", k);
  k_ = k;
  is_pruned_ = false;
  candidates_.clear();
  candidates_.reserve(static_cast<size_t>(2 * k + kPieceMax));
}

void TopkStream::offer(const float* scores, int64_t n, int64_t first) {
  HADAL_DCHECK(n <= kPieceMax, "piece", n);
  if (!is_pruned_) {
    for (int64_t i = 0; i < n; ++i) candidates_.push_back(pack(scores[i], first + i));
  } else {
    // An equal score comes with a higher index and loses. Most groups of 16 hold nothing.
    constexpr int64_t kGroup = 16;
    for (int64_t begin = 0; begin < n; begin += kGroup) {
      const int64_t end = std::min(begin + kGroup, n);
      int n_better = 0;
      for (int64_t i = begin; i < end; ++i) n_better += scores[i] > bar_score_ ? 1 : 0;
      for (int64_t i = begin; i < end && n_better > 0; ++i) {
        if (scores[i] > bar_score_) candidates_.push_back(pack(scores[i], first + i));
      }
    }
  }
  if (static_cast<int64_t>(candidates_.size()) >= 2 * k_) prune();
}

void TopkStream::merge(std::span<const uint64_t> packed) {
  for (const uint64_t candidate : packed) {
    if (is_pruned_ && candidate < bar_) continue;
    candidates_.push_back(candidate);
    if (static_cast<int64_t>(candidates_.size()) >= 2 * k_) prune();
  }
}

void TopkStream::prune() {
  if (static_cast<int64_t>(candidates_.size()) <= k_) return;
  const auto kth = candidates_.begin() + (k_ - 1);
  std::nth_element(candidates_.begin(), kth, candidates_.end(), std::greater<>());
  bar_ = *kth;
  const auto ordered = static_cast<uint32_t>(bar_ >> 32);
  bar_score_ = std::bit_cast<float>((ordered & 0x80000000u) != 0 ? ordered & 0x7FFFFFFFu : ~ordered);
  is_pruned_ = true;
  candidates_.resize(static_cast<size_t>(k_));
}

std::span<const uint64_t> TopkStream::best() {
  prune();
  return candidates_;
}

int64_t TopkStream::write_ascending(int32_t* indices) {
  prune();
  const auto n = static_cast<int64_t>(candidates_.size());
  for (int64_t i = 0; i < n; ++i) indices[i] = static_cast<int32_t>(index_of(candidates_[static_cast<size_t>(i)]));
  std::sort(indices, indices + n);
  return n;
}

}  // namespace hadal::ops
