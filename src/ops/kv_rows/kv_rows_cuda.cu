// Rounding, encoding and decoding of rows, a block a row. Warps take the scale blocks of a row in turn; what a block
// becomes depends on its channels alone. Same bits as the reference for finite numbers.

#include "ops/cuda_kernels.cuh"
#include "ops/kv_rows/encode_row_cuda.cuh"

namespace hadal::ops {
namespace {

constexpr int kThreads = kEncodeThreads;
constexpr int kWarps = kThreads / kWarp;
constexpr int kHadamardMax = 4096;  // 16 KiB of shared memory

// Sylvester order: butterflies of distance 1, 2, 4, ..., then the scale. The pairs of one distance are independent.
__device__ void hadamard(float* x, int D) {
  for (int step = 1; step < D; step *= 2) {
    for (int i = static_cast<int>(threadIdx.x); i < D / 2; i += kThreads) {
      const int j = i / step * 2 * step + i % step;
      const float a = x[j];
      const float b = x[j + step];
      x[j] = a + b;
      x[j + step] = a - b;
    }
    __syncthreads();
  }
  const auto scale = static_cast<float>(1.0 / sqrt(static_cast<double>(D)));
  for (int i = static_cast<int>(threadIdx.x); i < D; i += kThreads) x[i] *= scale;
  __syncthreads();
}

__global__ void __launch_bounds__(kThreads) round_e4m3_kernel(RoundRows op) {
  wait_for_previous();
  float* x = op.x + blockIdx.x * op.x_stride;
  const int nope = static_cast<int>(op.D - op.rope_dim);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int begin = static_cast<int>(threadIdx.x) / kWarp * kFp8RowBlock; begin < nope; begin += kWarps * kFp8RowBlock) {
    const int end = min(begin + kFp8RowBlock, nope);
    const int e = e4m3_exponent(block_amax(x, begin, end));
    for (int i = begin + lane; i < end; i += kWarp) x[i] = round_e4m3(x[i], e);
  }
}

__global__ void __launch_bounds__(kThreads) round_hadamard_kernel(RoundRows op) {
  wait_for_previous();
  __shared__ float row[kHadamardMax];
  float* x = op.x + blockIdx.x * op.x_stride;
  const int D = static_cast<int>(op.D);
  for (int i = static_cast<int>(threadIdx.x); i < D; i += kThreads) row[i] = x[i];
  __syncthreads();
  hadamard(row, D);
  // A warp a block of 32: its lanes are the block's channels.
  for (int i = static_cast<int>(threadIdx.x); i < D; i += kThreads) {
    const float v = row[i];
    x[i] = op.rounding == KvRounding::kHadamard ? v : round_e2m1(v, e2m1_exponent(warp_max(fabsf(v))));
  }
}

template <int kOps>
__global__ void __launch_bounds__(kThreads) encode_kernel(const __grid_constant__ OpBatch<EncodeRows, kOps> batch) {
  wait_for_previous();
  const int in_batch = batch.op_of(static_cast<int>(blockIdx.x));
  const EncodeRows& op = batch.ops[in_batch];
  const int64_t t = static_cast<int>(blockIdx.x) - batch.first[in_batch];
  const int64_t slot = op.slots[t];
  if (slot < 0) return;
  // PagedRows is a reader's view; the caller owns the pages and asks for this row to be written.
  encode_row_by_block(op.to.format, op.x + t * op.x_stride, static_cast<int>(op.D), static_cast<int>(op.rope_dim),
                      op.to.row_bytes, const_cast<std::byte*>(paged_row(op.to, slot)));
}

__global__ void __launch_bounds__(kThreads) decode_kernel(DecodeRows op) {
  wait_for_previous();
  const std::byte* row = paged_row(op.from, op.slots[blockIdx.x]);
  float* x = op.x + blockIdx.x * op.x_stride;
  const int D = static_cast<int>(op.D);
  for (int i = static_cast<int>(threadIdx.x); i < D; i += kThreads) {
    x[i] = stored_channel(op.from.format, row, D, static_cast<int>(op.rope_dim), i);
  }
}

}  // namespace

void round_rows_cuda(CudaContext& context, const RoundRows& op) {
  if (op.T == 0) return;
  const auto kernel = op.rounding == KvRounding::kE4m3 ? round_e4m3_kernel : round_hadamard_kernel;
  enqueue(context, static_cast<unsigned>(op.T), kThreads, 0, kernel, op);
  context.check_launch("round_rows");
}

void encode_rows_cuda(CudaContext& context, const EncodeRows* ops, int64_t n) {
  const auto rows_of = [](const EncodeRows& op) { return op.T; };
  for_batches(std::span(ops, static_cast<size_t>(n)), rows_of, [&]<int kOps>(const OpBatch<EncodeRows, kOps>& batch) {
    enqueue(context, static_cast<unsigned>(batch.n_items()), kThreads, 0, encode_kernel<kOps>, batch);
  });
  context.check_launch("encode_rows");
}

void decode_rows_cuda(CudaContext& context, const DecodeRows& op) {
  if (op.T == 0) return;
  enqueue(context, static_cast<unsigned>(op.T), kThreads, 0, decode_kernel, op);
  context.check_launch("decode_rows");
}

}  // namespace hadal::ops
