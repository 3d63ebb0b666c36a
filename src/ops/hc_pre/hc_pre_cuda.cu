// Several blocks a token: each computes the token's scalars by itself, in the same order, and its own slice of u; the
// first writes post and comb. Reading n C floats once more from L2 costs less than waiting for another block.
//
// Order: thread i sums squares of v[i], v[i + 512], ... ascending, then block_sum; u by streams ascending.

#include <algorithm>

#include "ops/cuda_kernels.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/hc_pre/hc_pre.h"

namespace hadal::ops {
namespace {

constexpr int kThreads = 512;
constexpr int kStreamsMax = 8;

__device__ float sigmoid(float v) {
  return 1.0f / (1.0f + expf(-v));
}

// One thread: n is at most 8 and the iterations depend on each other.
__device__ void sinkhorn_in_order(float* a, int n, int64_t iters, float eps) {
  const auto normalize_columns = [&] {
    for (int j = 0; j < n; ++j) {
      float sum = 0;
      for (int i = 0; i < n; ++i) sum += a[i * n + j];
      for (int i = 0; i < n; ++i) a[i * n + j] /= sum + eps;
    }
  };
  for (int i = 0; i < n; ++i) {
    float* row = a + i * n;
    float max = row[0];
    for (int j = 1; j < n; ++j) max = fmaxf(max, row[j]);
    float sum = 0;
    for (int j = 0; j < n; ++j) sum += row[j] = expf(row[j] - max);
    for (int j = 0; j < n; ++j) row[j] = row[j] / sum + eps;
  }
  normalize_columns();
  for (int64_t iteration = 1; iteration < iters; ++iteration) {
    for (int i = 0; i < n; ++i) {
      float* row = a + i * n;
      float sum = 0;
      for (int j = 0; j < n; ++j) sum += row[j];
      for (int j = 0; j < n; ++j) row[j] /= sum + eps;
    }
    normalize_columns();
  }
}

// A warp normalises A [n, n]: lane l holds element (l / n, l % n) for n = 4, the published width. Sums are those of
// sinkhorn_in_order, element after element, so the bits are the same.
__device__ void sinkhorn_4(float* a, int lane, int64_t iters, float eps) {
  constexpr int n = 4;
  const int i = lane / n % n;
  const int j = lane % n;
  const auto row_sum = [&](float v) {
    float sum = 0;
    for (int k = 0; k < n; ++k) sum += __shfl_sync(kAllLanes, v, i * n + k);
    return sum;
  };
  const auto column_sum = [&](float v) {
    float sum = 0;
    for (int k = 0; k < n; ++k) sum += __shfl_sync(kAllLanes, v, k * n + j);
    return sum;
  };
  float v = a[i * n + j];
  float max = __shfl_sync(kAllLanes, v, i * n);
  for (int k = 1; k < n; ++k) max = fmaxf(max, __shfl_sync(kAllLanes, v, i * n + k));
  v = expf(v - max);
  v = v / row_sum(v) + eps;
  v /= column_sum(v) + eps;
  for (int64_t iteration = 1; iteration < iters; ++iteration) {
    v /= row_sum(v) + eps;
    v /= column_sum(v) + eps;
  }
  __syncwarp();
  if (lane < n * n) a[lane] = v;
}

__global__ void __launch_bounds__(kThreads) hc_pre_kernel(HcPre op, int64_t slice) {
  wait_for_previous();
  __shared__ float sums[kThreads / kWarp];
  __shared__ float pre[kStreamsMax];
  __shared__ float comb[kStreamsMax * kStreamsMax];
  const int64_t t = blockIdx.y;
  const int n = static_cast<int>(op.n);
  const bool is_head = op.comb == nullptr;
  const float* x = op.x + t * n * op.C;
  const float* projected = op.projected + t * (is_head ? n : (2 + n) * n);

  float square = 0;
#pragma unroll 32
  for (int64_t i = threadIdx.x; i < n * op.C; i += kThreads) square = fmaf(x[i], x[i], square);
  const float mean = block_sum(square, sums) / static_cast<float>(n * op.C);
  const float q = 1.0f / sqrtf(mean + op.norm_eps);

  const int i = static_cast<int>(threadIdx.x);
  if (i < n) pre[i] = sigmoid(projected[i] * q * op.scale[0] + op.base[i]) + op.hc_eps;
  if (!is_head && blockIdx.x == 0 && threadIdx.x < kWarp) {
    if (i < n) op.post[t * n + i] = 2.0f * sigmoid(projected[n + i] * q * op.scale[1] + op.base[n + i]);
    for (int e = i; e < n * n; e += kWarp) comb[e] = projected[2 * n + e] * q * op.scale[2] + op.base[2 * n + e];
    __syncwarp();
    if (n == 4) {
      sinkhorn_4(comb, i, op.sinkhorn_iters, op.hc_eps);
    } else if (i == 0) {
      sinkhorn_in_order(comb, n, op.sinkhorn_iters, op.hc_eps);
    }
    __syncwarp();
    for (int e = i; e < n * n; e += kWarp) op.comb[t * n * n + e] = comb[e];
  }
  __syncthreads();
  const int64_t begin = blockIdx.x * slice;
  const int64_t end = min(begin + slice, op.C);
  for (int64_t c = begin + threadIdx.x; c < end; c += kThreads) {
    float sum = 0;
    for (int j = 0; j < n; ++j) sum += pre[j] * x[j * op.C + c];
    op.u[t * op.C + c] = sum;
  }
}

}  // namespace

void hc_pre_cuda(CudaContext& context, const HcPre& op) {
  if (op.T == 0) return;
  // As many slices as leave each thread a channel, while there are multiprocessors without a token.
  const int64_t slices_max = (op.C + kThreads - 1) / kThreads;
  const int64_t n_slices = std::clamp<int64_t>(context.n_multiprocessors / op.T, 1, slices_max);
  const int64_t slice = (op.C + n_slices - 1) / n_slices;
  const dim3 grid(static_cast<unsigned>(n_slices), static_cast<unsigned>(op.T));
  enqueue(context, grid, kThreads, 0, hc_pre_kernel, op, slice);
  context.check_launch("hc_pre");
}

}  // namespace hadal::ops
