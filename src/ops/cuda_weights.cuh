// Stored matrices on the device, element by element or four at a time: as weight_at of ops/linear/linear.h.
#pragma once

#include "device/tensor.h"
#include "ops/cuda_numbers.cuh"

namespace hadal::ops {

__device__ inline float weight_scale(const Weight& w, int64_t row, int64_t col) {
  const int64_t stride = (w.cols + w.scale_cols - 1) / w.scale_cols;
  const int64_t block = row / w.scale_rows * stride + col / w.scale_cols;
  if (w.scale_dtype == DType::kF32) return reinterpret_cast<const float*>(w.scale)[block];
  return e8m0_value(static_cast<uint8_t>(w.scale[block]));
}

// w[row, col .. col + 4) as floats. col is a multiple of 4; data is aligned to 16 bytes.
template <DType dtype>
__device__ inline float4 load_4(const Weight& w, int64_t row, int64_t col) {
  const int64_t index = row * w.cols + col;
  if constexpr (dtype == DType::kF32) {
    return *reinterpret_cast<const float4*>(w.data + 4 * index);
  } else if constexpr (dtype == DType::kBF16 || dtype == DType::kF16) {
    const ushort4 v = *reinterpret_cast<const ushort4*>(w.data + 2 * index);
    if constexpr (dtype == DType::kF16) return {f16_value(v.x), f16_value(v.y), f16_value(v.z), f16_value(v.w)};
    return {bf16_value(v.x), bf16_value(v.y), bf16_value(v.z), bf16_value(v.w)};
  } else {
    const float scale = weight_scale(w, row, col);
    if constexpr (dtype == DType::kF8E4M3) {
      const uchar4 v = *reinterpret_cast<const uchar4*>(w.data + index);
      return {e4m3_value(v.x) * scale, e4m3_value(v.y) * scale, e4m3_value(v.z) * scale, e4m3_value(v.w) * scale};
    } else {
      const uint32_t v = *reinterpret_cast<const uint16_t*>(w.data + index / 2);
      return {e2m1_value(v) * scale, e2m1_value(v >> 4) * scale, e2m1_value(v >> 8) * scale,
              e2m1_value(v >> 12) * scale};
    }
  }
}

// f(std::integral_constant<DType, ...>) for the dtypes that a matrix may have.
template <class F>
__device__ inline void with_dtype(DType dtype, const F& f) {
  switch (dtype) {
    case DType::kF32:
      return f(std::integral_constant<DType, DType::kF32>());
    case DType::kF16:
      return f(std::integral_constant<DType, DType::kF16>());
    case DType::kBF16:
      return f(std::integral_constant<DType, DType::kBF16>());
    case DType::kF8E4M3:
      return f(std::integral_constant<DType, DType::kF8E4M3>());
    case DType::kF4E2M1:
      return f(std::integral_constant<DType, DType::kF4E2M1>());
    default:
      return;
  }
}

}  // namespace hadal::ops
