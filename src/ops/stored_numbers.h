// Sixteen numbers of a stored matrix as floats, for kernels over F32x16 (ops/f32x16.h): exact, but for the rounding of
// an FP8 code times a scale that is no power of two.
#pragma once

#include <cstring>

#include "base/dtype.h"
#include "device/tensor.h"
#include "ops/f32x16.h"
#include "ops/linear/linear.h"

namespace hadal::ops {
namespace {

inline float fp8_scale(const Weight& w, int64_t row, int64_t col) {
  const int64_t index = row / w.scale_rows * w.scale_stride() + col / w.scale_cols;
  if (w.scale_dtype == DType::kF32) {
    float scale;
    std::memcpy(&scale, w.scale + 4 * index, sizeof scale);
    return scale;
  }
  return e8m0_to_f32(static_cast<uint8_t>(w.scale[index]));
}

// Columns [col, col + 16) of a row; col and the columns of a scale's tile are multiples of 16.
inline F32x16 load_stored(const Weight& w, int64_t row, int64_t col) {
  const std::byte* at = w.data + row * w.row_bytes() + col * dtype_bits(w.dtype) / 8;
  switch (w.dtype) {
    case DType::kF32: {
      float values[16];
      std::memcpy(values, at, sizeof values);
      return load(values);
    }
    case DType::kBF16:
      return load_bf16(at);
    case DType::kF16:
      return load_f16(at);
    case DType::kF8E4M3:
      return load_e4m3(at) * broadcast(fp8_scale(w, row, col));
    default: {
      float values[16];
      for (int64_t i = 0; i < 16; ++i) values[i] = weight_at(w, row, col + i);
      return load(values);
    }
  }
}

}  // namespace
}  // namespace hadal::ops
