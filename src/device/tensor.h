// Views of numbers in memory: what ops take. A view owns nothing; whoever made it keeps the memory alive.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace hadal {

// A matrix of a checkpoint as it is stored, applied as y = x W^T.
//
//   dtype     data                           scale
//   F32, F16, BF16   [rows, cols]            none
//   F8_E4M3   [rows, cols] bytes             E8M0 (or F32) [ceil(rows / scale_rows), ceil(cols / scale_cols)]
//   F4_E2M1   [rows, cols / 2] bytes         E8M0 [rows, cols / 32] (scale_rows 1, scale_cols 32)
//   Q8_0, ... [rows, cols / values] blocks   none: scales lie in the blocks (base/blocks/block_codec.h)
//
// Row-major; rows follow each other without gaps.
struct Weight {
  DType dtype = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  const std::byte* data = nullptr;

  DType scale_dtype = DType::kF8E8M0;
  const std::byte* scale = nullptr;  // null when there is none
  int scale_rows = 0;
  int scale_cols = 0;

  bool empty() const { return data == nullptr; }
  int64_t row_bytes() const { return dtype_bytes(dtype, cols); }
  int64_t scale_stride() const { return scale == nullptr ? 0 : (cols + scale_cols - 1) / scale_cols; }  // elements
  // Bytes of data and scales: what applying it to one token reads.
  int64_t bytes() const {
    if (empty()) return 0;
    const int64_t scales =
        scale == nullptr ? 0 : (rows + scale_rows - 1) / scale_rows * scale_stride() * dtype_bits(scale_dtype) / 8;
    return rows * row_bytes() + scales;
  }

  // Rows [begin, begin + n) as a matrix of their own. begin is a multiple of scale_rows.
  Weight row_slice(int64_t begin, int64_t n) const;
};

// The three matrices of a SwiGLU feed-forward network, routed or shared.
struct ExpertWeights {
  Weight w1;  // [moe_inter_dim, hidden]   gate branch
  Weight w3;  // [moe_inter_dim, hidden]   up branch
  Weight w2;  // [hidden, moe_inter_dim]   down
};

// Small vectors (norm gains, biases, sinks) are widened to float when a model is loaded.
using Vector = std::span<const float>;

}  // namespace hadal
