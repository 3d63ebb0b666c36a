// A block a group, of all sequences of a list; a thread a channel (or some of them, 512 apart). Order: rows ascending,
// the norm's sum as block_sum over threads of channels i, i + 512, ... ascending.

#include "ops/compress/compress.h"
#include "ops/cuda_kernels.cuh"
#include "ops/cuda_reduce.cuh"

namespace hadal::ops {
namespace {

constexpr int kThreads = 512;

// The rows that group g pools: `first` of the previous group with the first half of the channels, then m of its own.
struct GroupRows {
  int64_t first;     // row of k and z
  int64_t n;         //
  int64_t n_before;  // of them, those of the previous group
};

__device__ GroupRows rows_of_group(const Compress& op, int64_t g) {
  const int64_t own = (g + (op.has_previous ? 1 : 0)) * op.m;
  const bool reaches_back = op.coff == 2 && (g > 0 || op.has_previous);
  return {reaches_back ? own - op.m : own, reaches_back ? 2 * op.m : op.m, reaches_back ? op.m : 0};
}

// Channel c of the group: the softmax-weighted mean over its rows.
__device__ float pooled_channel(const Compress& op, const GroupRows& rows, int64_t c) {
  const int64_t width = op.coff * op.d;
  const int64_t own_half = op.coff == 2 ? op.d : 0;
  const auto at = [&](int64_t r) { return (rows.first + r) * width + (r < rows.n_before ? 0 : own_half) + c; };
  const auto score = [&](int64_t r) {
    if (op.ape == nullptr) return op.z[at(r)];
    return op.z[at(r)] + op.ape[r % op.m * width + (r < rows.n_before ? 0 : own_half) + c];
  };
  float max = -INFINITY;
#pragma unroll 8
  for (int64_t r = 0; r < rows.n; ++r) max = fmaxf(max, score(r));
  float sum = 0;
  float pooled = 0;
#pragma unroll 8
  for (int64_t r = 0; r < rows.n; ++r) {
    const float e = expf(score(r) - max);
    sum += e;
    pooled = fmaf(e, op.k[at(r)], pooled);
  }
  return pooled / sum;
}

template <int kOps>
__global__ void __launch_bounds__(kThreads) compress_kernel(const __grid_constant__ OpBatch<Compress, kOps> batch) {
  wait_for_previous();
  extern __shared__ float entry[];  // [d]
  __shared__ float sums[kThreads / kWarp];
  const int in_batch = batch.op_of(static_cast<int>(blockIdx.x));
  const Compress& op = batch.ops[in_batch];
  const int64_t g = static_cast<int>(blockIdx.x) - batch.first[in_batch];
  const GroupRows rows = rows_of_group(op, g);
  float square = 0;
  for (int64_t c = threadIdx.x; c < op.d; c += kThreads) {
    entry[c] = pooled_channel(op, rows, c);
    square = fmaf(entry[c], entry[c], square);
  }
  const float mean = block_sum(square, sums) / static_cast<float>(op.d);
  const float scale = 1.0f / sqrtf(mean + op.eps);
  const int64_t nope = op.d - op.rope_dim;
  const float* cos_sin = op.cos_sin + g * op.rope_dim;
  for (int64_t c = threadIdx.x; c < op.d; c += kThreads) {
    float v = entry[c] * scale * op.gain[c];
    if (c >= nope) {
      // The pair's other half is normed here once more rather than waited for.
      const int64_t i = (c - nope) / 2 * 2;
      const float cosine = cos_sin[i];
      const float sine = cos_sin[i + 1];
      const bool is_second = (c - nope) % 2 != 0;
      const int64_t other = is_second ? c - 1 : c + 1;
      const float w = entry[other] * scale * op.gain[other];
      v = is_second ? w * sine + v * cosine : v * cosine - w * sine;
    }
    op.out[g * op.d + c] = v;
  }
}

}  // namespace

void compress_cuda(CudaContext& context, const Compress* ops, int64_t n) {
  const auto groups_of = [](const Compress& op) { return op.n_groups; };
  for_batches(std::span(ops, static_cast<size_t>(n)), groups_of, [&]<int kOps>(const OpBatch<Compress, kOps>& batch) {
    const auto shared_bytes = static_cast<size_t>(ops->d) * sizeof(float);
    enqueue(context, static_cast<unsigned>(batch.n_items()), kThreads, shared_bytes, compress_kernel<kOps>, batch);
  });
  context.check_launch("compress");
}

}  // namespace hadal::ops
