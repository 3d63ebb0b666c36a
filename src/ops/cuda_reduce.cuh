// Sums and maxima over a warp and a block, in one fixed order each.
#pragma once

#include <cstdint>

namespace hadal::ops {

inline constexpr int kWarp = 32;
inline constexpr uint32_t kAllLanes = 0xFFFFFFFF;

// Every lane gets the sum of all: neighbours 16 apart first, then 8, 4, 2, 1. The tree is symmetric, so all lanes have
// the same bits.
__device__ inline float warp_sum(float v) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) v += __shfl_xor_sync(kAllLanes, v, distance);
  return v;
}

__device__ inline float warp_max(float v) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, distance));
  return v;
}

// Every thread gets the sum over the block: a tree in each warp, then the warps ascending. `scratch` has a float for
// each warp and may be used again after the next __syncthreads().
__device__ inline float block_sum(float v, float* scratch) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int n_warps = static_cast<int>(blockDim.x) / kWarp;
  v = warp_sum(v);
  if (threadIdx.x % kWarp == 0) scratch[warp] = v;
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < n_warps; ++i) sum += scratch[i];
  return sum;
}

// How much the threads before this one have together, and the sum over the block. `scratch` has an int for each warp;
// starts and ends with a barrier.
struct Scan {
  int before;
  int total;
};
__device__ inline Scan block_scan(int v, int* scratch) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int n_warps = static_cast<int>(blockDim.x) / kWarp;
  int inclusive = v;
#pragma unroll
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const int other = __shfl_up_sync(kAllLanes, inclusive, distance);
    if (lane >= distance) inclusive += other;
  }
  __syncthreads();
  if (lane == kWarp - 1) scratch[warp] = inclusive;
  __syncthreads();
  int before = inclusive - v;
  int total = 0;
  for (int w = 0; w < n_warps; ++w) {
    if (w < warp) before += scratch[w];
    total += scratch[w];
  }
  __syncthreads();
  return {before, total};
}

}  // namespace hadal::ops
