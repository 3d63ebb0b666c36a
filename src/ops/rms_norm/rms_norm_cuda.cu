// A block a row, which its threads hold in registers as far as it fits. Order: thread i sums c = i, i + 512, ...
// ascending, then block_sum.

#include "ops/cuda_kernels.cuh"
#include "ops/cuda_numbers.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/rms_norm/rms_norm.h"

namespace hadal::ops {
namespace {

constexpr int kThreads = 512;
constexpr int kHeld = 8;  // channels of a thread in registers

__global__ void __launch_bounds__(kThreads) rms_norm_kernel(RmsNorm op) {
  __shared__ float sums[kThreads / kWarp];
  const float* x = op.x + blockIdx.x * op.x_stride;
  float* y = op.y + blockIdx.x * op.y_stride;
  const auto gain_of = [&](int64_t c) { return op.gain != nullptr ? op.gain[c] : 1.0f; };
  auto* packed = reinterpret_cast<uint16_t*>(op.packed.data) + blockIdx.x * op.C;
  const auto store = [&](int64_t c, float value) {
    y[c] = value;
    if (op.packed.data != nullptr) packed[c] = bf16_code(value);
  };
  float gain[kHeld];
  float v[kHeld];
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    const int64_t c = threadIdx.x + i * kThreads;
    gain[i] = c < op.C ? gain_of(c) : 0.0f;
  }
  wait_for_previous();
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    const int64_t c = threadIdx.x + i * kThreads;
    v[i] = c < op.C ? x[c] : 0.0f;
    sum = fmaf(v[i], v[i], sum);
  }
  for (int64_t c = threadIdx.x + kHeld * kThreads; c < op.C; c += kThreads) sum = fmaf(x[c], x[c], sum);
  const float mean = block_sum(sum, sums) / static_cast<float>(op.C);
  const float scale = 1.0f / sqrtf(mean + op.eps);
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    const int64_t c = threadIdx.x + i * kThreads;
    if (c < op.C) store(c, v[i] * scale * gain[i]);
  }
  for (int64_t c = threadIdx.x + kHeld * kThreads; c < op.C; c += kThreads) store(c, x[c] * scale * gain_of(c));
}

}  // namespace

void rms_norm_cuda(CudaContext& context, const RmsNorm& op) {
  if (op.T == 0) return;
  // Rows of other widths have zeros behind them.
  const bool is_packed_apart = op.packed.data != nullptr && op.C % 64 != 0;
  RmsNorm norm = op;
  if (is_packed_apart) norm.packed.data = nullptr;
  enqueue(context, static_cast<unsigned>(op.T), kThreads, 0, rms_norm_kernel, norm);
  if (is_packed_apart) pack_rows_cuda(context, packing_of(op));
  context.check_launch("rms_norm");
}

}  // namespace hadal::ops
