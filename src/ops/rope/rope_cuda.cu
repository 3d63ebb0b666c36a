// A thread a pair.

#include "ops/cuda_kernels.cuh"
#include "ops/rope/rope.h"

namespace hadal::ops {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) rope_kernel(Rope op) {
  wait_for_previous();
  const int64_t pairs = op.rope_dim / 2;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= op.T * op.H * pairs) return;
  const int64_t i = 2 * (index % pairs);
  const int64_t h = index / pairs % op.H;
  const int64_t t = index / pairs / op.H;
  const float c = op.cos_sin[t * op.rope_dim + i];
  const float sine = op.cos_sin[t * op.rope_dim + i + 1];
  const float s = op.inverse ? -sine : sine;
  float* x = op.x + t * op.t_stride + h * op.D + (op.D - op.rope_dim) + i;
  const float a = x[0];
  const float b = x[1];
  x[0] = a * c - b * s;
  x[1] = a * s + b * c;
}

}  // namespace

void rope_cuda(CudaContext& context, const Rope& op) {
  const int64_t n = op.T * op.H * (op.rope_dim / 2);
  if (n == 0) return;
  enqueue(context, blocks_for(n, kThreads), kThreads, 0, rope_kernel, op);
  context.check_launch("rope");
}

}  // namespace hadal::ops
