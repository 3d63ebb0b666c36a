// A warp a token: lanes share the experts, K rounds each find the best that is left.

#include <cstdint>

#include "ops/cuda_kernels.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/router/router.h"

namespace hadal::ops {
namespace {

constexpr int kTopkMax = 64;

__device__ float score_of(RouterScore score, float g, float max) {
  switch (score) {
    case RouterScore::kSqrtSoftplus:
      return sqrtf(g > 20.0f ? g : log1pf(expf(g)));
    case RouterScore::kSigmoid:
      return 1.0f / (1.0f + expf(-g));
    case RouterScore::kSoftmax:
      return expf(g - max);
  }
  return 0;
}

// Larger keys first, equal keys by the lower expert, as one number that is never 0.
__device__ uint64_t packed(float key, int e) {
  const uint32_t bits = __float_as_uint(key + 0.0f);  // -0 and 0 are one key
  const uint32_t ordered = bits ^ ((bits >> 31) != 0 ? 0xFFFFFFFF : 0x80000000);
  return static_cast<uint64_t>(ordered) << 32 | (0xFFFFFFFF - static_cast<uint32_t>(e));
}

__device__ uint64_t warp_best(uint64_t v) {
#if __CUDA_ARCH__ >= 800
  const auto high = static_cast<uint32_t>(v >> 32);
  const uint32_t best = __reduce_max_sync(kAllLanes, high);
  const uint32_t low = __reduce_max_sync(kAllLanes, high == best ? static_cast<uint32_t>(v) : 0);
  return static_cast<uint64_t>(best) << 32 | low;
#else
  return v;  // no such GPU is opened
#endif
}

// chosen[0..K): the experts of token t, in no order. keys [E] is scratch.
__device__ void choose(const Router& op, const float* s, uint64_t* keys, int* chosen) {
  const int E = static_cast<int>(op.E);
  const int lane = static_cast<int>(threadIdx.x);
#pragma unroll 8
  for (int e = lane; e < E; e += kWarp) keys[e] = packed(s[e] + (op.bias != nullptr ? op.bias[e] : 0.0f), e);
  for (int i = 0; i < op.K; ++i) {
    uint64_t best = 0;
#pragma unroll 8
    for (int e = lane; e < E; e += kWarp) best = keys[e] > best ? keys[e] : best;
    best = warp_best(best);
    const int e = static_cast<int>(0xFFFFFFFF - static_cast<uint32_t>(best));
    if (lane == 0) chosen[i] = e;
    if (lane == e % kWarp) keys[e] = 0;
  }
}

// g [E]: logits of token t. Lowers op.not_finite to the place of the first that is no finite number.
__device__ void note_not_finite(const Router& op, const float* g, int64_t t) {
  const int E = static_cast<int>(op.E);
  const int lane = static_cast<int>(threadIdx.x);
  for (int begin = 0; begin < E; begin += kWarp) {
    const bool is_bad = begin + lane < E && !isfinite(g[begin + lane]);
    const unsigned bad = __ballot_sync(kAllLanes, is_bad);
    if (bad == 0) continue;
    // Places are not negative, so they compare as unsigned ones, too.
    const int64_t place = op.place + t * E + begin + __ffs(static_cast<int>(bad)) - 1;
    if (lane == 0) atomicMin(reinterpret_cast<unsigned long long*>(op.not_finite), place);
    return;
  }
}

__global__ void __launch_bounds__(kWarp) router_kernel(Router op) {
  wait_for_previous();
  extern __shared__ uint64_t keys[];  // [E], then scores and logits
  __shared__ int chosen[kTopkMax];
  __shared__ int sorted[kTopkMax];
  float* s = reinterpret_cast<float*>(keys + op.E);
  float* g = s + op.E;  // the logits, fetched once with all loads in flight
  const int64_t t = blockIdx.x;
  const int K = static_cast<int>(op.K);
  const int E = static_cast<int>(op.E);
  const int lane = static_cast<int>(threadIdx.x);
#pragma unroll 8
  for (int e = lane; e < E; e += kWarp) g[e] = op.logits[t * op.E + e];
  __syncwarp();
  if (op.not_finite != nullptr) note_not_finite(op, g, t);
  float max = -INFINITY;
#pragma unroll 8
  for (int e = lane; e < E; e += kWarp) max = fmaxf(max, g[e]);
  max = warp_max(max);
  float total = 0;
#pragma unroll 8
  for (int e = lane; e < E; e += kWarp) total += s[e] = score_of(op.score, g[e], max);
  if (op.score == RouterScore::kSoftmax) {
    total = warp_sum(total);
    for (int e = lane; e < E; e += kWarp) s[e] /= total;
  }
  __syncwarp();
  if (op.tid2eid != nullptr) {
    for (int i = lane; i < K; i += kWarp) chosen[i] = op.tid2eid[static_cast<int64_t>(op.token_ids[t]) * K + i];
  } else {
    choose(op, s, keys, chosen);
  }
  __syncwarp();
  // Each goes where as many smaller ids stand before it; equal ids of a hash table keep their order.
  for (int i = lane; i < K; i += kWarp) {
    int rank = 0;
    for (int k = 0; k < K; ++k) rank += chosen[k] < chosen[i] || (chosen[k] == chosen[i] && k < i) ? 1 : 0;
    sorted[rank] = chosen[i];
  }
  __syncwarp();
  float sum = 0;
  for (int i = 0; i < K; ++i) sum += s[sorted[i]];
  for (int i = lane; i < K; i += kWarp) {
    const float weight = s[sorted[i]];
    op.experts[t * K + i] = sorted[i];
    op.weights[t * K + i] = (op.score != RouterScore::kSoftmax ? weight / sum : weight) * op.route_scale;
  }
}

}  // namespace

void router_cuda(CudaContext& context, const Router& op) {
  if (op.T == 0) return;
  const auto shared_bytes = static_cast<size_t>(op.E) * (sizeof(uint64_t) + 2 * sizeof(float));  // 64 KiB for 4096
  cudaFuncSetAttribute(router_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  enqueue(context, static_cast<unsigned>(op.T), kWarp, shared_bytes, router_kernel, op);
  context.check_launch("router");
}

}  // namespace hadal::ops
