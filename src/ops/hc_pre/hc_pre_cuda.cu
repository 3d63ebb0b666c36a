// Several blocks a token: each computes the token's scalars by itself, in the same order, and its own slice of u; the
// first writes post and comb. Reading n C floats once more from L2 costs less than waiting for another block.
//
// Where the norm of u is wanted as well and the width is a published one, a block has a whole token, whose streams its
// threads hold in registers, and one warp more mixes post and comb meanwhile: 20 iterations that depend on each other
// take as long as all the rest.
//
// Order: thread i sums squares of v[i], v[i + 512], ... ascending, then block_sum; u by streams
// ascending; the norm of u as in rms_norm_cuda.cu.

#include <algorithm>

#include "ops/cuda_kernels.cuh"
#include "ops/cuda_numbers.cuh"
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

// A warp computes post and comb of token t. comb: shared memory for n n numbers.
__device__ void mix_back(const HcPre& op, int64_t t, const float* projected, float q, float* comb) {
  const int n = static_cast<int>(op.n);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  if (lane < n) op.post[t * n + lane] = 2.0f * sigmoid(projected[n + lane] * q * op.scale[1] + op.base[n + lane]);
  for (int e = lane; e < n * n; e += kWarp) comb[e] = projected[2 * n + e] * q * op.scale[2] + op.base[2 * n + e];
  __syncwarp();
  if (n == 4) {
    sinkhorn_4(comb, lane, op.sinkhorn_iters, op.hc_eps);
  } else if (lane == 0) {
    sinkhorn_in_order(comb, n, op.sinkhorn_iters, op.hc_eps);
  }
  __syncwarp();
  for (int e = lane; e < n * n; e += kWarp) op.comb[t * n * n + e] = comb[e];
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
  if (!is_head && blockIdx.x == 0 && threadIdx.x < kWarp) mix_back(op, t, projected, q, comb);
  __syncthreads();
  const int64_t begin = blockIdx.x * slice;
  const int64_t end = min(begin + slice, op.C);
  for (int64_t c = begin + threadIdx.x; c < end; c += kThreads) {
    float sum = 0;
    for (int j = 0; j < n; ++j) sum += pre[j] * x[j * op.C + c];
    op.u[t * op.C + c] = sum;
  }
}

constexpr int kNormedStreams = 4;

// block_sum of the first kThreads threads, without the warp that mixes.
__device__ float sum_of_channels(float v, float* scratch) {
  v = warp_sum(v);
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = v;
  asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory");
  float sum = 0;
  for (int i = 0; i < kThreads / kWarp; ++i) sum += scratch[i];
  return sum;
}

// kHeld: channels of a stream for each thread, C / kThreads.
template <int kHeld>
__global__ void __launch_bounds__(kThreads + kWarp) hc_pre_normed_kernel(HcPre op) {
  __shared__ float sums[kThreads / kWarp];
  __shared__ float norm_sums[kThreads / kWarp];
  __shared__ float q_of_token;
  __shared__ float comb[kNormedStreams * kNormedStreams];
  constexpr int n = kNormedStreams;
  constexpr int C = kHeld * kThreads;
  const int64_t t = blockIdx.x;
  const bool is_head = op.comb == nullptr;
  const auto i = static_cast<int>(threadIdx.x);
  const float* x = op.x + t * n * C;
  const float* projected = op.projected + t * (is_head ? n : (2 + n) * n);
  const bool is_mixing = i >= kThreads;
  const float scale = op.scale[0];
  float base[n];
#pragma unroll
  for (int j = 0; j < n; ++j) base[j] = op.base[j];
  float gain[kHeld] = {};
  if (!is_mixing) {
#pragma unroll
    for (int m = 0; m < kHeld; ++m) gain[m] = op.norm.gain != nullptr ? op.norm.gain[i + m * kThreads] : 1.0f;
  }
  wait_for_previous();

  float v[n][kHeld] = {};
  float m_pre[n];
#pragma unroll
  for (int j = 0; j < n; ++j) m_pre[j] = projected[j];
  if (!is_mixing) {
    float square = 0;
#pragma unroll
    for (int j = 0; j < n; ++j) {
#pragma unroll
      for (int m = 0; m < kHeld; ++m) v[j][m] = x[j * C + i + m * kThreads];
    }
#pragma unroll
    for (int j = 0; j < n; ++j) {
#pragma unroll
      for (int m = 0; m < kHeld; ++m) square = fmaf(v[j][m], v[j][m], square);
    }
    const float mean = sum_of_channels(square, sums) / static_cast<float>(op.n * op.C);
    if (i == 0) q_of_token = 1.0f / sqrtf(mean + op.norm_eps);
  }
  __syncthreads();
  const float q = q_of_token;
  if (is_mixing) {
    if (!is_head) mix_back(op, t, projected, q, comb);
    return;
  }

  float pre[n];
#pragma unroll
  for (int j = 0; j < n; ++j) pre[j] = sigmoid(m_pre[j] * q * scale + base[j]) + op.hc_eps;
  float u[kHeld];
  float u_square = 0;
#pragma unroll
  for (int m = 0; m < kHeld; ++m) {
    float sum = 0;
#pragma unroll
    for (int j = 0; j < n; ++j) sum += pre[j] * v[j][m];
    u[m] = sum;
    op.u[t * C + i + m * kThreads] = sum;
    u_square = fmaf(sum, sum, u_square);
  }
  const float u_mean = sum_of_channels(u_square, norm_sums) / static_cast<float>(op.C);
  const float u_scale = 1.0f / sqrtf(u_mean + op.norm.eps);
#pragma unroll
  for (int m = 0; m < kHeld; ++m) {
    const int64_t at = t * C + i + m * kThreads;
    const float y = u[m] * u_scale * gain[m];
    op.norm.y[at] = y;
    if (op.norm.packed.data != nullptr) reinterpret_cast<uint16_t*>(op.norm.packed.data)[at] = bf16_code(y);
  }
}

using Kernel = void (*)(HcPre);

// The kernel for the widths of V4 Flash and V4 Pro; null for others.
Kernel normed_kernel(const HcPre& op) {
  if (op.norm.x == nullptr || op.n != kNormedStreams) return nullptr;
  if (op.C == 4096) return hc_pre_normed_kernel<4096 / kThreads>;
  if (op.C == 7168) return hc_pre_normed_kernel<7168 / kThreads>;
  return nullptr;
}

}  // namespace

void hc_pre_cuda(CudaContext& context, const HcPre& op) {
  if (op.T == 0) return;
  if (const Kernel kernel = normed_kernel(op); kernel != nullptr) {
    enqueue(context, static_cast<unsigned>(op.T), kThreads + kWarp, 0, kernel, op);
    context.check_launch("hc_pre");
    return;
  }
  // As many slices as leave each thread a channel, while there are multiprocessors without a token.
  const int64_t slices_max = (op.C + kThreads - 1) / kThreads;
  const int64_t n_slices = std::clamp<int64_t>(context.n_multiprocessors / op.T, 1, slices_max);
  const int64_t slice = (op.C + n_slices - 1) / n_slices;
  const dim3 grid(static_cast<unsigned>(n_slices), static_cast<unsigned>(op.T));
  enqueue(context, grid, kThreads, 0, hc_pre_kernel, op, slice);
  context.check_launch("hc_pre");
  if (op.norm.x != nullptr) rms_norm_cuda(context, op.norm);
}

}  // namespace hadal::ops
