// Activations rounded and laid out for linear: a warp 128 channels, the block of the published E4M3 rounding.

#include "ops/cuda_kernels.cuh"
#include "ops/cuda_numbers.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/linear/linear.h"

namespace hadal::ops {
namespace {

constexpr int kThreads = 256;
constexpr int kBlock = 128;
constexpr int kOfLane = kBlock / kWarp;

__global__ void __launch_bounds__(kThreads) pack_rows_kernel(PackRows op, int64_t k_padded, int64_t n_blocks) {
  wait_for_previous();
  const int64_t index = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kWarp;
  if (index >= n_blocks) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t blocks_of_row = (k_padded + kBlock - 1) / kBlock;
  const int64_t row = index / blocks_of_row;  // t groups + group
  const int64_t begin = index % blocks_of_row * kBlock;
  const PackedRows& out = op.out;
  const float* x = op.x + row / out.groups * op.x_stride + row % out.groups * out.K;

  float v[kOfLane];
  float amax = 0;
#pragma unroll
  for (int i = 0; i < kOfLane; ++i) {
    const int64_t k = begin + i * kWarp + lane;
    v[i] = k < out.K ? x[k] : 0.0f;
    amax = fmaxf(amax, fabsf(v[i]));
  }
  if (op.rounding == ActivationRounding::kE4m3) {
    const int e = e4m3_exponent(warp_max(amax));
#pragma unroll
    for (int i = 0; i < kOfLane; ++i) v[i] = round_e4m3(v[i], e);
  }
#pragma unroll
  for (int i = 0; i < kOfLane; ++i) {
    const int64_t k = begin + i * kWarp + lane;
    if (k >= k_padded) break;
    const int64_t at = row * k_padded + k;
    if (out.format == RowFormat::kF32) {
      reinterpret_cast<float*>(out.data)[at] = v[i];
    } else {
      reinterpret_cast<uint16_t*>(out.data)[at] = bf16_code(v[i]);
    }
  }
}

}  // namespace

void pack_rows_cuda(CudaContext& context, const PackRows& op) {
  const int64_t blocks_of_row = (op.out.k_padded() + kBlock - 1) / kBlock;
  const int64_t n_blocks = op.out.T * op.out.groups * blocks_of_row;
  if (n_blocks == 0) return;
  enqueue(context, blocks_for(n_blocks * kWarp, kThreads), kThreads, 0, pack_rows_kernel, op, op.out.k_padded(),
          n_blocks);
  context.check_launch("pack_rows");
}

}  // namespace hadal::ops
