// Activations in 8 bits for GGUF's block types: integer dot products without an error of their own.
//
// A block is integers with a scale, and in some types an offset, for every 16 of them (base/blocks/block_codes.h).
// 256 channels make a step of 16 lanes, a lane is 16 neighbouring channels; a token has one scale for 32.
//
//   sum[lane] = the 16 products of codes, exact in 32 bits
//   acc[lane] = fma(sum, w.scale * x.scale, acc), and with offsets   acc[lane] = fma(w.offset, x.minus_sum, acc)
//   y = the 16 lanes, each one such chain over the steps, added by sum_tree
#pragma once

#include <cstdint>

namespace hadal::ops {

inline constexpr int64_t kLaneStep = 256;  // channels of an Int8Lanes
inline constexpr int64_t kLaneChannels = 16;
inline constexpr int64_t kLaneScaled = 32;  // channels of one scale
// Makes a weight's code a natural number, for the instruction that multiplies unsigned by signed bytes.
inline constexpr int32_t kLaneOffset = 128;

// Where the channels 16 b .. 16 b + 15 lie: lane 4 (b mod 4) + b / 4. In this order four registers of codes come out of
// a transposition inside 128 bits, the only kind that is one instruction a piece.
constexpr int64_t lane_of(int64_t b) {
  return 4 * (b % 4) + b / 4;
}

// 256 channels of one token.
struct Int8Lanes {
  int8_t q[4][64];      // q[m][4 lane + r]: channel 4 m + r of the lane's 16
  int32_t start[16];    // -128 times the sum of the lane's q: takes the weights' offset back
  float scale[16];      // NaN: a channel was no number
  float minus_sum[16];  // -scale times the sum of the lane's q
};
static_assert(sizeof(Int8Lanes) == 448);

// The float that channel i of the step stands for.
inline float int8_lane_value(const Int8Lanes& x, int64_t i) {
  const int64_t lane = lane_of(i / kLaneChannels);
  return static_cast<float>(x.q[i % kLaneChannels / 4][4 * lane + i % 4]) * x.scale[lane];
}

// Rounds n <= 256 channels, zeros behind them: q to the nearest of -127..127 steps of the largest of 32, ties to even.
void pack_int8_lanes(const float* x, int64_t n, Int8Lanes& out);

}  // namespace hadal::ops
