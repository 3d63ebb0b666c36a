// Activations in 8 bits for FP4 weights: integer dot products without an error of their own.
//
// FP4 values are halves of small integers, so twice a weight plus 12 is an unsigned byte, a look-up of the stored code.
// 32 channels share a scale on both sides; their products sum exactly in 32 bits and only then become floats. The
// weights' least scale, 2^-127, counts as zero: BF16 products flush weights of that size too.
//
//   lane j of a block = sum of 8 products (channels 8j..8j+7) as an integer, times both scales
//   y = the 16 lanes, each one FMA chain over the blocks of 128 channels, added by sum_tree
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace hadal::ops {

inline constexpr int64_t kInt8Block = 128;  // channels of an Int8Block
inline constexpr int64_t kInt8Scaled = 32;  // channels of one scale
inline constexpr int32_t kE2m1Offset = 12;  // makes twice the least FP4 value, -6, a natural number

// 128 channels of one token in the order in which their FP4 partners lie: byte i of a row holds channels 2i and 2i + 1.
struct Int8Block {
  int8_t even[64];    // q[2i]
  int8_t odd[64];     // q[2i + 1]
  int32_t start[16];  // -12 * sum of q[8j..8j+7]: takes the weights' offset back
  float scale[16];    // half the scale of channels 8j..8j+7, for the doubled weights; NaN: a channel was no number
};
static_assert(sizeof(Int8Block) == 256);

// A weight's scale as these products take it.
inline float int8_weight_scale(uint8_t code) {
  return code == 0 ? 0.0f : e8m0_to_f32(code);
}

// The float that channel i of a block stands for.
inline float int8_value(const Int8Block& block, int64_t i) {
  const int8_t q = i % 2 == 0 ? block.even[i / 2] : block.odd[i / 2];
  return static_cast<float>(q) * 2.0f * block.scale[i / 8];
}

// The scale of 32 channels from the bits of their largest magnitude: that is 127 steps.
struct Int8Scale {
  bool is_finite;
  float inverse;  // 127 / largest; 0 when it is below 2^-100: such activations vanish
  float half;     // largest / 254, at least 2^-108; NaN when a channel is none or infinite
};
Int8Scale int8_scale(uint32_t largest_bits);

// Rounds n <= 128 channels, zeros behind them: q = x * inverse to the nearest, ties to even.
void pack_int8_block(const float* x, int64_t n, Int8Block& out);

}  // namespace hadal::ops
