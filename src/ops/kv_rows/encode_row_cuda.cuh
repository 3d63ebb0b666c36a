// A block encodes one row of floats as it is stored. Warps take the row's scale blocks in turn. Same bytes as
// encode_row for finite numbers.
#pragma once

#include "ops/cuda_reduce.cuh"
#include "ops/kv_rows/kv_rows_cuda.cuh"

namespace hadal::ops {

inline constexpr int kEncodeThreads = 128;  // of the block
inline constexpr int kEncodeWarps = kEncodeThreads / kWarp;

// The largest magnitude of x[begin, end), for all lanes of the warp.
__device__ inline float block_amax(const float* x, int begin, int end) {
  float amax = 0;
  for (int i = begin + static_cast<int>(threadIdx.x) % kWarp; i < end; i += kWarp) amax = fmaxf(amax, fabsf(x[i]));
  return warp_max(amax);
}

__device__ inline void encode_fp8(const float* x, int D, int rope_dim, int64_t row_bytes, std::byte* out) {
  const int nope = D - rope_dim;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  auto* rope = reinterpret_cast<uint16_t*>(out + nope);
  for (int i = static_cast<int>(threadIdx.x); i < rope_dim; i += kEncodeThreads) rope[i] = bf16_code(x[nope + i]);
  std::byte* scales = out + nope + 2 * rope_dim;
  const int n_scales = (nope + kFp8RowBlock - 1) / kFp8RowBlock;
  for (auto i = n_scales + static_cast<int>(threadIdx.x); i < row_bytes - nope - 2 * rope_dim; i += kEncodeThreads) {
    scales[i] = std::byte{0};
  }
  for (int block = static_cast<int>(threadIdx.x) / kWarp; block < n_scales; block += kEncodeWarps) {
    const int begin = block * kFp8RowBlock;
    const int end = min(begin + kFp8RowBlock, nope);
    const int e = e4m3_exponent(block_amax(x, begin, end));
    if (lane == 0) scales[block] = static_cast<std::byte>(e + 127);
    for (int i = begin + lane; i < end; i += kWarp) out[i] = static_cast<std::byte>(e4m3_code(x[i] * exp2_int(-e)));
  }
}

__device__ inline void encode_fp4(const float* x, int D, std::byte* out) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int block = static_cast<int>(threadIdx.x) / kWarp; block < D / kFp4RowBlock; block += kEncodeWarps) {
    const float v = x[block * kFp4RowBlock + lane];
    const int e = e2m1_exponent(warp_max(fabsf(v)));
    const uint32_t code = e2m1_code(v * exp2_int(-e));
    const uint32_t next = __shfl_down_sync(kAllLanes, code, 1);
    if (lane % 2 == 0) out[(block * kFp4RowBlock + lane) / 2] = static_cast<std::byte>(code | next << 4);
    if (lane == 0) out[D / 2 + block] = static_cast<std::byte>(e + 127);
  }
}

// out is aligned to 4 bytes.
__device__ inline void encode_row_by_block(KvFormat format, const float* x, int D, int rope_dim, int64_t row_bytes,
                                           std::byte* out) {
  switch (format) {
    case KvFormat::kF32:
      for (int i = static_cast<int>(threadIdx.x); i < D; i += kEncodeThreads) reinterpret_cast<float*>(out)[i] = x[i];
      return;
    case KvFormat::kBf16:
      for (int i = static_cast<int>(threadIdx.x); i < D; i += kEncodeThreads) {
        reinterpret_cast<uint16_t*>(out)[i] = bf16_code(x[i]);
      }
      return;
    case KvFormat::kFp8:
      return encode_fp8(x, D, rope_dim, row_bytes, out);
    case KvFormat::kFp4:
      return encode_fp4(x, D, out);
    case KvFormat::kFp8By128:
      return;  // refused on the host
  }
}

}  // namespace hadal::ops
