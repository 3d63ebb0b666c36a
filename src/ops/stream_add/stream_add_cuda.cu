// A thread a channel of a token: read once, added to all its streams.

#include "ops/cuda_kernels.cuh"
#include "ops/stream_add/stream_add.h"

namespace hadal::ops {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) stream_add_kernel(StreamAdd op) {
  wait_for_previous();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= op.T * op.C) return;
  float* x = op.x + index / op.C * op.n * op.C + index % op.C;
  const float u = op.u[index];
  for (int64_t j = 0; j < op.n; ++j) x[j * op.C] += u;
}

}  // namespace

void stream_add_cuda(CudaContext& context, const StreamAdd& op) {
  if (op.T == 0) return;
  enqueue(context, blocks_for(op.T * op.C, kThreads), kThreads, 0, stream_add_kernel, op);
  context.check_launch("stream_add");
}

}  // namespace hadal::ops
