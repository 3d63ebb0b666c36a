// Stored weights to pairs of BF16 in registers, and the activations that belong to them: the operands of mma_bf16.
//
// A codec takes a lane's 16 bytes of one row (kWeights of them, consecutive in k) and gives kWeights / 2 pairs. The
// order of k inside a tensor-core product does not matter as long as weights and activations share it, so each codec
// pairs what its bits make cheap:
//
//   BF16  8 weights   (0,1) (2,3) (4,5) (6,7)                as stored
//   FP8   16 weights  in each word of 4: (0,2) (1,3)         even and odd bytes of the two halves
//   FP4   32 weights  in each word of 8: (0,4) (1,5) (2,6) (3,7)
//
// A small float's exponent and mantissa, put at the top of BF16's, are the value times a power of two, subnormals
// included; one exact BF16 product brings it back. Codes of NaN (FP8 0x7F) read as 480.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

namespace hadal::ops {

__device__ inline uint32_t times_bf16(uint32_t pair, uint32_t factor) {
  const __nv_bfloat162 product =
      __hmul2(*reinterpret_cast<const __nv_bfloat162*>(&pair), *reinterpret_cast<const __nv_bfloat162*>(&factor));
  return *reinterpret_cast<const uint32_t*>(&product);
}

struct Bf16Codec {
  static constexpr int kWeights = 8;
  using Scale = int;  // none

  __device__ static void widen(const uint4& raw, Scale, uint32_t (&pairs)[4]) {
    pairs[0] = raw.x;
    pairs[1] = raw.y;
    pairs[2] = raw.z;
    pairs[3] = raw.w;
  }
  // x: 8 activations.
  __device__ static void pair_up(const uint4 (&x)[1], uint32_t (&pairs)[4]) { widen(x[0], 0, pairs); }
};

// One scale for 128 columns: it multiplies sums, not weights.
struct Fp8Codec {
  static constexpr int kWeights = 16;
  using Scale = int;

  __device__ static void widen(const uint4& raw, Scale, uint32_t (&pairs)[8]) {
    constexpr uint32_t kTwo120 = 0x7B807B80;  // 2^120 twice: E4M3's bias is 7, BF16's 127
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t w = words[i];
      pairs[2 * i] = times_bf16((w << 4 & 0x07F007F0) | (w << 8 & 0x80008000), kTwo120);
      pairs[2 * i + 1] = times_bf16((w >> 4 & 0x07F007F0) | (w & 0x80008000), kTwo120);
    }
  }
  __device__ static void pair_up(const uint4 (&x)[2], uint32_t (&pairs)[8]) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      pairs[4 * i] = __byte_perm(x[i].x, x[i].y, 0x5410);
      pairs[4 * i + 1] = __byte_perm(x[i].x, x[i].y, 0x7632);
      pairs[4 * i + 2] = __byte_perm(x[i].z, x[i].w, 0x5410);
      pairs[4 * i + 3] = __byte_perm(x[i].z, x[i].w, 0x7632);
    }
  }
};

// One scale for a lane's 32 weights: it multiplies them, in the product that brings them back.
struct Fp4Codec {
  static constexpr int kWeights = 32;
  using Scale = uint32_t;  // twice the BF16 factor

  // Weights come out times 2^-32, so that the factor 2^(126 - 32 + e) is a BF16 number for scales 2^e of up to 2^33;
  // those of 2^-94 and less make subnormal numbers. kUndo is what sums are multiplied with.
  static constexpr float kUndo = 0x1p32f;
  __device__ static Scale scale_of(uint8_t e8m0) {
    const int exponent = static_cast<int>(e8m0) + 126 - 32;
    const auto factor = static_cast<uint32_t>(min(exponent, 254)) << 7;
    return factor << 16 | factor;
  }

  __device__ static void widen(const uint4& raw, Scale scale, uint32_t (&pairs)[16]) {
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
    constexpr uint32_t kMagnitude = 0x01C001C0;
    constexpr uint32_t kSign = 0x80008000;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t w = words[i];
      pairs[4 * i] = times_bf16((w << 6 & kMagnitude) | (w << 12 & kSign), scale);
      pairs[4 * i + 1] = times_bf16((w << 2 & kMagnitude) | (w << 8 & kSign), scale);
      pairs[4 * i + 2] = times_bf16((w >> 2 & kMagnitude) | (w << 4 & kSign), scale);
      pairs[4 * i + 3] = times_bf16((w >> 6 & kMagnitude) | (w & kSign), scale);
    }
  }
  __device__ static void pair_up(const uint4 (&x)[4], uint32_t (&pairs)[16]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      pairs[4 * i] = __byte_perm(x[i].x, x[i].z, 0x5410);
      pairs[4 * i + 1] = __byte_perm(x[i].x, x[i].z, 0x7632);
      pairs[4 * i + 2] = __byte_perm(x[i].y, x[i].w, 0x5410);
      pairs[4 * i + 3] = __byte_perm(x[i].y, x[i].w, 0x7632);
    }
  }
};

}  // namespace hadal::ops
