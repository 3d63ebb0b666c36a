// Reads memory and forgets it: 16-byte loads, 8 in flight in each thread.

#include "device/cuda/cuda_context.cuh"
#include "device/cuda/cuda_runtime.cuh"

namespace hadal {
namespace {

constexpr int kThreads = 512;
constexpr int kLoads = 8;

__global__ void __launch_bounds__(kThreads) read_kernel(const uint4* memory, int64_t n, uint4* never) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads;
  uint4 all{};
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < n; i += kLoads * stride) {
    uint4 loaded[kLoads];
#pragma unroll
    for (int l = 0; l < kLoads; ++l) loaded[l] = i + l * stride < n ? __ldcs(memory + i + l * stride) : uint4{};
#pragma unroll
    for (int l = 0; l < kLoads; ++l) {
      all.x ^= loaded[l].x ^ loaded[l].y;
      all.y ^= loaded[l].z ^ loaded[l].w;
    }
  }
  // Never true for what is read; keeps the loads alive.
  if (all.x == 0x12345678 && all.y == 0x9ABCDEF0) *never = all;
}

}  // namespace

void read_memory(CudaContext* context, void* memory, int64_t bytes) {
  auto* words = static_cast<uint4*>(memory);
  read_kernel<<<static_cast<unsigned>(4 * context->n_multiprocessors), kThreads, 0, context->stream>>>(
      words, bytes / static_cast<int64_t>(sizeof(uint4)), words);
  context->check_launch("read");
}

}  // namespace hadal
