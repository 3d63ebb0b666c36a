// The exact best k of many scores: higher score first, equal scores by the lower index, indices ascending.
//
//   1. whoever computes scores counts them by their highest 11 bits (clear_bins, count_score, add_bins)
//   2. collect_candidates, many blocks: scores of the k-th best's bin and above, about k of them, in any order
//   3. select_candidates, one block: the k-th best bit by bit, then what is better and the lowest indices of what is
//      equal, each to the place that the number of lower chosen indices gives
//
// Counting is exact and the candidates are a set, so chance decides nothing. select_from_all does without 1 and 2 where
// too many scores share a bin.
#pragma once

#include <cstdint>

#include "ops/cuda_reduce.cuh"
#include "ops/index_select/topk_layout_cuda.h"

namespace hadal::ops {

inline constexpr int kSelectThreads = 1024;
inline constexpr int kSelectWarps = kSelectThreads / kWarp;
inline constexpr int kCollectThreads = 256;
inline constexpr int kScoresOfThread = 16;
inline constexpr int kScoresOfSlice = kCollectThreads * kScoresOfThread;
inline constexpr int kTopkOfCandidatesMax = 2048;
inline constexpr int kHighShift = 21;
inline constexpr int kLevels = 3;  // of 11, 11 and 10 bits

// Larger scores have larger keys; -0 counts as 0.
__device__ inline uint32_t ordered(float score) {
  const uint32_t bits = __float_as_uint(score + 0.0f);
  return bits ^ ((bits >> 31) != 0 ? 0xFFFFFFFF : 0x80000000);
}

// --- 1. counting -----------------------------------------------------------------------------------------------------

__device__ inline void clear_bins(int* bins) {
  for (int b = static_cast<int>(threadIdx.x); b < kTopkBins; b += static_cast<int>(blockDim.x)) bins[b] = 0;
}
__device__ inline void count_score(float score, int* bins) {
  atomicAdd(&bins[ordered(score) >> kHighShift], 1);
}

// A block's counts to its token's. Starts with a barrier.
__device__ inline void add_bins(const int* bins, TopkCounts& counts) {
  __syncthreads();
  for (int b = static_cast<int>(threadIdx.x); b < kTopkBins; b += static_cast<int>(blockDim.x)) {
    if (bins[b] != 0) atomicAdd(&counts.bins[b], bins[b]);
  }
}

// The bin that holds the `wanted`-th largest key, counted from 1; `wanted` becomes its place inside that bin.
template <int kThreads>
__device__ int find_bin(const int* bins, int& wanted, int* scratch) {
  __shared__ int found[2];
  constexpr int kOfThread = kTopkBins / kThreads;
  // Thread 0 has the largest bins.
  const int top = kTopkBins - 1 - kOfThread * static_cast<int>(threadIdx.x);
  int n = 0;
#pragma unroll
  for (int b = 0; b < kOfThread; ++b) n += bins[top - b];
  int before = block_scan(n, scratch).before;
#pragma unroll
  for (int b = 0; b < kOfThread; ++b) {
    const int of_bin = bins[top - b];
    if (before < wanted && wanted <= before + of_bin) {
      found[0] = top - b;
      found[1] = wanted - before;
    }
    before += of_bin;
  }
  __syncthreads();
  wanted = found[1];
  return found[0];
}

// --- 2. candidates ---------------------------------------------------------------------------------------------------

// A candidate in one number: its ordered score above its index.
__device__ inline void collect_candidates(const float* scores, int n, int k, TopkCounts& counts, uint64_t* candidates) {
  __shared__ int scratch[kCollectThreads / kWarp];
  __shared__ int n_found;
  __shared__ int first;
  const int begin = static_cast<int>(blockIdx.x) * kScoresOfSlice;
  if (begin >= n) return;
  float mine[kScoresOfThread];
#pragma unroll
  for (int i = 0; i < kScoresOfThread; ++i) {
    const int j = begin + i * kCollectThreads + static_cast<int>(threadIdx.x);
    mine[i] = j < n ? scores[j] : 0;
  }
  if (threadIdx.x == 0) n_found = 0;
  int wanted = k;
  const auto bin = static_cast<uint32_t>(find_bin<kCollectThreads>(counts.bins, wanted, scratch));
  int places[kScoresOfThread];
#pragma unroll
  for (int i = 0; i < kScoresOfThread; ++i) {
    const int j = begin + i * kCollectThreads + static_cast<int>(threadIdx.x);
    places[i] = j < n && ordered(mine[i]) >> kHighShift >= bin ? atomicAdd(&n_found, 1) : -1;
  }
  __syncthreads();
  if (threadIdx.x == 0) first = atomicAdd(&counts.n_candidates, n_found);
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kScoresOfThread; ++i) {
    const int place = first + places[i];
    if (places[i] < 0 || place >= kTopkCandidatesMax) continue;
    const auto j = static_cast<uint32_t>(begin + i * kCollectThreads + static_cast<int>(threadIdx.x));
    candidates[place] = static_cast<uint64_t>(ordered(mine[i])) << 32 | j;
  }
}

// --- 3. selection ----------------------------------------------------------------------------------------------------

// Adds 11 more bits (or those that are left) to what is known of the k-th best key: `threshold` under the mask `known`,
// and `wanted`, its place among the keys that agree so far. key(j), j < n, are all keys.
template <class Key>
__device__ void refine(int level, int n, const Key& key, int* bins, int* scratch, uint32_t& threshold, uint32_t& known,
                       int& wanted) {
  const int shift = max(kHighShift - 11 * level, 0);
  clear_bins(bins);
  __syncthreads();
#pragma unroll 8
  for (int j = static_cast<int>(threadIdx.x); j < n; j += kSelectThreads) {
    const uint32_t of_j = key(j);
    if ((of_j & known) == threshold) atomicAdd(&bins[of_j >> shift & (kTopkBins - 1)], 1);
  }
  __syncthreads();
  const int bin = find_bin<kSelectThreads>(bins, wanted, scratch);
  threshold |= static_cast<uint32_t>(bin) << shift;
  known |= static_cast<uint32_t>(kTopkBins - 1) << shift;
  __syncthreads();
}

struct SelectMemory {
  uint64_t candidates[kTopkCandidatesMax];
  int equal[kTopkCandidatesMax];
  int picked[kTopkOfCandidatesMax];
  int bins[kTopkBins];
  int scratch[kSelectWarps];
  int n_equal;
  int n_picked;
};

// The best k of at least k candidates.
__device__ inline void select_candidates(const uint64_t* candidates, int n, int k, int32_t* chosen, SelectMemory& m) {
  const int thread = static_cast<int>(threadIdx.x);
  for (int j = thread; j < n; j += kSelectThreads) m.candidates[j] = candidates[j];
  if (thread == 0) m.n_equal = m.n_picked = 0;
  __syncthreads();
  uint32_t threshold = 0;
  uint32_t known = 0;
  int wanted = k;
  for (int level = 0; level < kLevels; ++level) {
    refine(
        level, n, [&](int j) { return static_cast<uint32_t>(m.candidates[j] >> 32); }, m.bins, m.scratch, threshold,
        known, wanted);
  }
  for (int j = thread; j < n; j += kSelectThreads) {
    const auto key = static_cast<uint32_t>(m.candidates[j] >> 32);
    const auto index = static_cast<int>(m.candidates[j] & 0xFFFFFFFF);
    if (key > threshold) m.picked[atomicAdd(&m.n_picked, 1)] = index;
    if (key == threshold) m.equal[atomicAdd(&m.n_equal, 1)] = index;
  }
  __syncthreads();
  for (int j = thread; j < m.n_equal; j += kSelectThreads) {
    int lower = 0;
    for (int i = 0; i < m.n_equal; ++i) lower += m.equal[i] < m.equal[j] ? 1 : 0;
    if (lower < wanted) m.picked[atomicAdd(&m.n_picked, 1)] = m.equal[j];
  }
  __syncthreads();
  for (int j = thread; j < k; j += kSelectThreads) {
    int lower = 0;
#pragma unroll 8
    for (int i = 0; i < k; ++i) lower += m.picked[i] < m.picked[j] ? 1 : 0;
    chosen[lower] = m.picked[j];
  }
}

// Writes the indices of the best k of scores[0, n), n > k: what is left to do when many scores are about equal.
__device__ inline void select_from_all(const float* scores, int n, int k, int32_t* chosen) {
  __shared__ int bins[kTopkBins];
  __shared__ int scratch[kSelectWarps];
  const int thread = static_cast<int>(threadIdx.x);
  // The k-th best key, from its highest bits on; `wanted` ends as how many of those equal to it are chosen.
  uint32_t threshold = 0;
  uint32_t known = 0;
  int wanted = k;
#pragma unroll
  for (int level = 0; level < kLevels; ++level) {
    refine(
        level, n, [&](int j) { return ordered(scores[j]); }, bins, scratch, threshold, known, wanted);
  }
  // Each warp has a run of indices; it counts, learns what those before it have, and writes.
  const int warp = thread / kWarp;
  const int lane = thread % kWarp;
  const int run = (n + kSelectWarps - 1) / kSelectWarps;
  const int begin = min(warp * run, n);
  const int end = min(begin + run, n);
  __shared__ int n_better[kSelectWarps];
  __shared__ int n_equal[kSelectWarps];
  int better = 0;
  int equal = 0;
  for (int j = begin + lane; j < end; j += kWarp) {
    const uint32_t key = ordered(scores[j]);
    better += key > threshold ? 1 : 0;
    equal += key == threshold ? 1 : 0;
  }
  better = __reduce_add_sync(kAllLanes, better);
  equal = __reduce_add_sync(kAllLanes, equal);
  if (lane == 0) {
    n_better[warp] = better;
    n_equal[warp] = equal;
  }
  __syncthreads();
  int better_before = 0;
  int equal_before = 0;
  for (int before = 0; before < warp; ++before) {
    better_before += n_better[before];
    equal_before += n_equal[before];
  }
  for (int first = begin; first < end; first += kWarp) {
    const int j = first + lane;
    const uint32_t key = j < end ? ordered(scores[j]) : 0;
    const uint32_t better_lanes = __ballot_sync(kAllLanes, j < end && key > threshold);
    const uint32_t equal_lanes = __ballot_sync(kAllLanes, j < end && key == threshold);
    const uint32_t lanes_before = (1u << lane) - 1;
    const int better_rank = better_before + __popc(better_lanes & lanes_before);
    const int equal_rank = equal_before + __popc(equal_lanes & lanes_before);
    const bool is_chosen = (better_lanes >> lane & 1) != 0 || ((equal_lanes >> lane & 1) != 0 && equal_rank < wanted);
    if (is_chosen) chosen[better_rank + min(equal_rank, wanted)] = j;
    better_before += __popc(better_lanes);
    equal_before += __popc(equal_lanes);
  }
}

}  // namespace hadal::ops
