// Parts of rows of a stored matrix as floats, for kernels over F32x16 (ops/f32x16.h): exact, but for the rounding of an
// FP8 code times a scale that is no power of two.
#pragma once

#include <cstring>

#include "base/dtype.h"
#include "base/unrolled.h"
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

// body(d, vectors) for the rows row0 + d, d < n: columns [col, col + 16 n_vectors), widened. read(row, v) gives vector
// v of a row. Scales are looked up where a row of tiles begins, not in every row.
template <int n_vectors, bool is_scaled, class Read, class Body>
inline void for_each_row_with(const Weight& w, int64_t row0, int64_t n, int64_t col, const Read& read,
                              const Body& body) {
  for (int64_t d = 0; d < n;) {
    int64_t end = n;
    F32x16 scale[n_vectors];
    if constexpr (is_scaled) {
      const int64_t left = w.scale_rows - (row0 + d) % w.scale_rows;
      end = d + left < n ? d + left : n;
      unrolled<n_vectors>([&](auto v) HADAL_INLINE { scale[v] = broadcast(fp8_scale(w, row0 + d, col + 16 * v)); });
    }
    for (; d < end; ++d) {
      F32x16 vectors[n_vectors];
      unrolled<n_vectors>([&](auto v) HADAL_INLINE {
        vectors[v] = read(row0 + d, v);
        if constexpr (is_scaled) vectors[v] = vectors[v] * scale[v];
      });
      body(d, vectors);
    }
  }
}

// The same for any stored type. col and the columns of a scale's tile are multiples of 16.
template <int n_vectors, class Body>
inline void for_each_row(const Weight& w, int64_t row0, int64_t n, int64_t col, const Body& body) {
  const int64_t row_bytes = w.row_bytes();
  const std::byte* data = w.data + col * dtype_bits(w.dtype) / 8;
  const auto at = [=](int64_t row, int64_t bytes) HADAL_INLINE { return data + row * row_bytes + bytes; };
  switch (w.dtype) {
    case DType::kF32:
      return for_each_row_with<n_vectors, false>(
          w, row0, n, col,
          [=](int64_t row, int v) HADAL_INLINE { return load(reinterpret_cast<const float*>(at(row, 64 * v))); }, body);
    case DType::kBF16:
      return for_each_row_with<n_vectors, false>(
          w, row0, n, col, [=](int64_t row, int v) HADAL_INLINE { return load_bf16(at(row, 32 * v)); }, body);
    case DType::kF16:
      return for_each_row_with<n_vectors, false>(
          w, row0, n, col, [=](int64_t row, int v) HADAL_INLINE { return load_f16(at(row, 32 * v)); }, body);
    case DType::kF8E4M3:
      return for_each_row_with<n_vectors, true>(
          w, row0, n, col, [=](int64_t row, int v) HADAL_INLINE { return load_e4m3(at(row, 16 * v)); }, body);
    default:  // no release stores such a matrix in anything else
      return for_each_row_with<n_vectors, false>(
          w, row0, n, col,
          [&](int64_t row, int v) {
            float values[16];
            for (int64_t i = 0; i < 16; ++i) values[i] = weight_at(w, row, col + 16 * v + i);
            return load(values);
          },
          body);
  }
}

}  // namespace
}  // namespace hadal::ops
