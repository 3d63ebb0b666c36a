// Which pairs a block of moe computes: one item of the list that moe_lists_kernel makes, or, for a single token, one of
// its experts without any list; behind the routed ones, tokens of the shared expert.
#pragma once

#include "ops/cuda_launch.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/moe/moe.h"
#include "ops/moe/moe_layout_cuda.h"

namespace hadal::ops {

// What all kernels of moe take.
struct MoeKernels {
  Moe op;
  ExpertWeights shared;  // of op.shared, which is host memory
  int n_routed_items;    // blocks in y before those of the shared expert
  int tokens_of_tile;
  bool is_single_token;
  std::byte* hidden;
  float* outputs;
  int32_t* pairs;
  MoeItem* items;
  int32_t* n_items;
};

struct Assignment {
  int expert = -1;                 // -1: the shared one
  const int32_t* pairs = nullptr;  // null: first_pair and the following
  int first_pair = 0;
  int n = 0;  // 0: nothing to do

  __device__ int pair(int i) const { return pairs != nullptr ? pairs[i] : first_pair + i; }
};

__device__ inline Assignment assignment_of_block(const MoeKernels& k) {
  const int y = static_cast<int>(blockIdx.y);
  const auto n_routed_pairs = static_cast<int>(k.op.T * k.op.K);
  Assignment a;
  if (y >= k.n_routed_items) {
    const int token0 = (y - k.n_routed_items) * k.tokens_of_tile;
    a.first_pair = n_routed_pairs + token0;
    a.n = min(k.tokens_of_tile, static_cast<int>(k.op.T) - token0);
  } else if (k.is_single_token) {
    a.expert = k.op.experts[y];
    a.first_pair = y;
    a.n = 1;
  } else if (y < *k.n_items) {
    const MoeItem item = k.items[y];
    a.expert = item.expert;
    a.pairs = k.pairs + item.first;
    a.n = item.n;
  }
  return a;
}

inline constexpr int kListThreads = 1024;
inline constexpr int kListExpertsMax = 4096;

// One block sorts the routed pairs by expert and cuts them into items. Where a pair stands among those of its expert is
// left to chance: every pair is computed for itself.
__global__ void __launch_bounds__(kListThreads) moe_lists_kernel(MoeKernels k, int n_experts) {
  wait_for_previous();
  __shared__ int counts[kListExpertsMax];
  __shared__ int scratch[kListThreads / kWarp];
  const auto n_pairs = static_cast<int>(k.op.T * k.op.K);
  const int thread = static_cast<int>(threadIdx.x);
  for (int e = thread; e < n_experts; e += kListThreads) counts[e] = 0;
  __syncthreads();
  for (int p = thread; p < n_pairs; p += kListThreads) atomicAdd(&counts[k.op.experts[p]], 1);
  __syncthreads();
  int n_items = 0;
  int n_before = 0;
  for (int first = 0; first < n_experts; first += kListThreads) {
    const int e = first + thread;
    const int n = e < n_experts ? counts[e] : 0;
    const int items = (n + k.tokens_of_tile - 1) / k.tokens_of_tile;
    const Scan pair_scan = block_scan(n, scratch);
    const Scan item_scan = block_scan(items, scratch);
    const int begin = n_before + pair_scan.before;
    for (int i = 0; i < items; ++i) {
      const int from = i * k.tokens_of_tile;
      k.items[n_items + item_scan.before + i] = {e, begin + from, min(k.tokens_of_tile, n - from)};
    }
    if (e < n_experts) counts[e] = begin;  // from here on: where the expert's next pair goes
    n_before += pair_scan.total;
    n_items += item_scan.total;
  }
  __syncthreads();
  if (thread == 0) *k.n_items = n_items;
  for (int p = thread; p < n_pairs; p += kListThreads) k.pairs[atomicAdd(&counts[k.op.experts[p]], 1)] = p;
}

}  // namespace hadal::ops
