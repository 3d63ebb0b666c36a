// A thread a channel of a token: its n streams are read, mixed and written in place.

#include "ops/cuda_kernels.cuh"
#include "ops/hc_post/hc_post.h"

namespace hadal::ops {
namespace {

constexpr int kThreads = 128;

template <int n>
__global__ void __launch_bounds__(kThreads) hc_post_kernel(HcPost op) {
  wait_for_previous();
  const int64_t t = blockIdx.y;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (c >= op.C) return;
  float* x = op.x + t * n * op.C + c;
  const float* post = op.post + t * n;
  const float* comb = op.comb + t * n * n;
  float source[n];
#pragma unroll
  for (int i = 0; i < n; ++i) source[i] = x[i * op.C];
  const float u = op.u[t * op.C + c];
#pragma unroll
  for (int j = 0; j < n; ++j) {
    float sum = post[j] * u;
#pragma unroll
    for (int i = 0; i < n; ++i) sum += comb[i * n + j] * source[i];
    x[j * op.C] = sum;
  }
}

using Kernel = void (*)(HcPost);
constexpr Kernel kKernels[] = {hc_post_kernel<1>, hc_post_kernel<2>, hc_post_kernel<3>, hc_post_kernel<4>,
                               hc_post_kernel<5>, hc_post_kernel<6>, hc_post_kernel<7>, hc_post_kernel<8>};

}  // namespace

void hc_post_cuda(CudaContext& context, const HcPost& op) {
  if (op.T == 0) return;
  const dim3 grid(blocks_for(op.C, kThreads), static_cast<unsigned>(op.T));
  enqueue(context, grid, kThreads, 0, kKernels[op.n - 1], op);
  context.check_launch("hc_post");
}

}  // namespace hadal::ops
