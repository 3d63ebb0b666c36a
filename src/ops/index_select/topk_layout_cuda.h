// Where index_select on a GPU keeps scores and candidates. Plain arithmetic, for the host and the kernels.
#pragma once

#include <cstdint>

namespace hadal::ops {

inline constexpr int kTopkBins = 2048;           // by the highest 11 bits of a score
inline constexpr int kTopkCandidatesMax = 6144;  // 88 KB of shared memory with what goes with them; RTX has 99

// What must be zero before scores are counted.
struct TopkCounts {
  int bins[kTopkBins];
  int n_candidates;
  int padding[31];
};

struct IndexSelectGpuLayout {
  int64_t counts = 0;  // [T] TopkCounts
  int64_t candidates;  // [T, kTopkCandidatesMax] uint64
  int64_t scores;      // [T, visible_max] floats
  int64_t bytes;

  constexpr IndexSelectGpuLayout(int64_t T, int64_t visible_max)
      : candidates(T * static_cast<int64_t>(sizeof(TopkCounts))),
        scores(candidates + T * kTopkCandidatesMax * 8),
        bytes(scores + T * visible_max * 4) {}
};

}  // namespace hadal::ops
