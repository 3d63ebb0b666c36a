// Rounding, encoding and decoding of rows, a block a row. Warps take the scale blocks of a row in turn; what a block
// becomes depends on its channels alone. Same bits as the reference for finite numbers.

#include "ops/cuda_kernels.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/kv_rows/kv_rows_cuda.cuh"

namespace hadal::ops {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;
constexpr int kHadamardMax = 4096;  // 16 KiB of shared memory

// The largest magnitude of x[begin, end), for all lanes of the warp.
__device__ float block_amax(const float* x, int begin, int end) {
  float amax = 0;
  for (int i = begin + static_cast<int>(threadIdx.x) % kWarp; i < end; i += kWarp) amax = fmaxf(amax, fabsf(x[i]));
  return warp_max(amax);
}

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

__device__ void encode_fp8(const float* x, int D, int rope_dim, int64_t row_bytes, std::byte* out) {
  const int nope = D - rope_dim;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  auto* rope = reinterpret_cast<uint16_t*>(out + nope);
  for (int i = static_cast<int>(threadIdx.x); i < rope_dim; i += kThreads) rope[i] = bf16_code(x[nope + i]);
  std::byte* scales = out + nope + 2 * rope_dim;
  const int n_scales = (nope + kFp8RowBlock - 1) / kFp8RowBlock;
  for (auto i = n_scales + static_cast<int>(threadIdx.x); i < row_bytes - nope - 2 * rope_dim; i += kThreads) {
    scales[i] = std::byte{0};
  }
  for (int block = static_cast<int>(threadIdx.x) / kWarp; block < n_scales; block += kWarps) {
    const int begin = block * kFp8RowBlock;
    const int end = min(begin + kFp8RowBlock, nope);
    const int e = e4m3_exponent(block_amax(x, begin, end));
    if (lane == 0) scales[block] = static_cast<std::byte>(e + 127);
    for (int i = begin + lane; i < end; i += kWarp) out[i] = static_cast<std::byte>(e4m3_code(x[i] * exp2_int(-e)));
  }
}

__device__ void encode_fp4(const float* x, int D, std::byte* out) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int block = static_cast<int>(threadIdx.x) / kWarp; block < D / kFp4RowBlock; block += kWarps) {
    const float v = x[block * kFp4RowBlock + lane];
    const int e = e2m1_exponent(warp_max(fabsf(v)));
    const uint32_t code = e2m1_code(v * exp2_int(-e));
    const uint32_t next = __shfl_down_sync(kAllLanes, code, 1);
    if (lane % 2 == 0) out[(block * kFp4RowBlock + lane) / 2] = static_cast<std::byte>(code | next << 4);
    if (lane == 0) out[D / 2 + block] = static_cast<std::byte>(e + 127);
  }
}

__global__ void __launch_bounds__(kThreads) encode_kernel(EncodeRows op) {
  const int64_t slot = op.slots[blockIdx.x];
  if (slot < 0) return;
  const float* x = op.x + blockIdx.x * op.x_stride;
  // PagedRows is a reader's view; the caller owns the pages and asks for this row to be written.
  auto* out = const_cast<std::byte*>(paged_row(op.to, slot));
  const int D = static_cast<int>(op.D);
  switch (op.to.format) {
    case KvFormat::kF32:
      for (int i = static_cast<int>(threadIdx.x); i < D; i += kThreads) reinterpret_cast<float*>(out)[i] = x[i];
      return;
    case KvFormat::kBf16:
      for (int i = static_cast<int>(threadIdx.x); i < D; i += kThreads) {
        reinterpret_cast<uint16_t*>(out)[i] = bf16_code(x[i]);
      }
      return;
    case KvFormat::kFp8:
      return encode_fp8(x, D, static_cast<int>(op.rope_dim), op.to.row_bytes, out);
    case KvFormat::kFp4:
      return encode_fp4(x, D, out);
  }
}

__global__ void __launch_bounds__(kThreads) decode_kernel(DecodeRows op) {
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
  kernel<<<static_cast<unsigned>(op.T), kThreads, 0, context.stream>>>(op);
  context.check_launch("round_rows");
}

void encode_rows_cuda(CudaContext& context, const EncodeRows& op) {
  if (op.T == 0) return;
  encode_kernel<<<static_cast<unsigned>(op.T), kThreads, 0, context.stream>>>(op);
  context.check_launch("encode_rows");
}

void decode_rows_cuda(CudaContext& context, const DecodeRows& op) {
  if (op.T == 0) return;
  decode_kernel<<<static_cast<unsigned>(op.T), kThreads, 0, context.stream>>>(op);
  context.check_launch("decode_rows");
}

}  // namespace hadal::ops
