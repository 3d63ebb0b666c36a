// A thread four channels of a token, written to all its streams.

#include "ops/cuda_kernels.cuh"
#include "ops/cuda_weights.cuh"
#include "ops/embed/embed.h"

namespace hadal::ops {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) embed_kernel(Embed op) {
  wait_for_previous();
  const int64_t t = blockIdx.y;
  const int64_t C = op.table.cols;
  const int64_t c = 4 * (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x);
  if (c >= C) return;
  float4 v{};
  with_dtype(op.table.dtype, [&](auto dtype) { v = load_4<dtype()>(op.table, op.ids[t], c); });
  for (int64_t j = 0; j < op.n; ++j) *reinterpret_cast<float4*>(op.x + (t * op.n + j) * C + c) = v;
}

}  // namespace

void embed_cuda(CudaContext& context, const Embed& op) {
  if (op.T == 0) return;
  const dim3 grid(blocks_for(op.table.cols / 4, kThreads), static_cast<unsigned>(op.T));
  enqueue(context, grid, kThreads, 0, embed_kernel, op);
  context.check_launch("embed");
}

}  // namespace hadal::ops
