// The best k of scores that arrive piece by piece: higher score first, equal scores by the lower index.
//
// That order is total, so the chosen set depends on the scores alone: not on how they were cut into pieces or streams.
// Keeps fewer than 2 k + kPieceMax candidates; O(n) on average. Pure: no threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hadal::ops {

class TopkStream {
 public:
  static constexpr int64_t kPieceMax = 1024;

  // A score with its index in one number: larger is better. -0 counts as 0. Indices are below 2^32.
  static uint64_t pack(float score, int64_t index);
  static int64_t index_of(uint64_t packed) { return static_cast<int64_t>(0xFFFFFFFFu - static_cast<uint32_t>(packed)); }

  // Empties the stream; memory is kept. k >= 1.
  void reset(int64_t k);

  // scores[i] belongs to index first + i; pieces come in ascending order of indices. n <= kPieceMax.
  void offer(const float* scores, int64_t n, int64_t first);
  // Candidates of another stream, in any order.
  void merge(std::span<const uint64_t> packed);

  // The best k (or all, if there were fewer), in no order.
  std::span<const uint64_t> best();
  // Their indices, ascending. Returns how many there are.
  int64_t write_ascending(int32_t* indices);

 private:
  void prune();

  int64_t k_ = 0;
  // What a candidate must beat: the k-th best of those seen at the last pruning.
  bool is_pruned_ = false;
  uint64_t bar_ = 0;
  float bar_score_ = 0;
  std::vector<uint64_t> candidates_;
};

}  // namespace hadal::ops
