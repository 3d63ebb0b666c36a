// A block a row. Order: thread i sums c = i, i + 512, ... ascending, then block_sum.

#include "ops/cuda_kernels.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/rms_norm/rms_norm.h"

namespace hadal::ops {
namespace {

constexpr int kThreads = 512;

__global__ void __launch_bounds__(kThreads) rms_norm_kernel(RmsNorm op) {
  wait_for_previous();
  __shared__ float sums[kThreads / kWarp];
  const float* x = op.x + blockIdx.x * op.x_stride;
  float* y = op.y + blockIdx.x * op.y_stride;
  float sum = 0;
#pragma unroll 8
  for (int64_t c = threadIdx.x; c < op.C; c += kThreads) sum = fmaf(x[c], x[c], sum);
  const float mean = block_sum(sum, sums) / static_cast<float>(op.C);
  const float scale = 1.0f / sqrtf(mean + op.eps);
#pragma unroll 8
  for (int64_t c = threadIdx.x; c < op.C; c += kThreads) y[c] = x[c] * scale * (op.gain != nullptr ? op.gain[c] : 1.0f);
}

}  // namespace

void rms_norm_cuda(CudaContext& context, const RmsNorm& op) {
  if (op.T == 0) return;
  enqueue(context, static_cast<unsigned>(op.T), kThreads, 0, rms_norm_kernel, op);
  context.check_launch("rms_norm");
}

}  // namespace hadal::ops
