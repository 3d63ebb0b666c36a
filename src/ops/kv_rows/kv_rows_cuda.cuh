// Stored rows on the device: where they lie, and single channels of them as floats. For the kernels that read caches.
#pragma once

#include "ops/cuda_numbers.cuh"
#include "ops/kv_rows/kv_rows.h"

namespace hadal::ops {

inline constexpr int kFp8RowBlock = 64;  // codes of a scale in KvFormat::kFp8
inline constexpr int kFp4RowBlock = 32;  // in KvFormat::kFp4

__device__ inline const std::byte* paged_row(const PagedRows& rows, int64_t j) {
  return rows.pages[j / rows.rows_per_page] + rows.offset + (j % rows.rows_per_page) * rows.row_bytes;
}

// Channel d of a stored row of D channels.
__device__ inline float stored_channel(KvFormat format, const std::byte* row, int D, int rope_dim, int d) {
  const auto byte_at = [row](int i) { return static_cast<uint8_t>(row[i]); };
  switch (format) {
    case KvFormat::kF32:
      return reinterpret_cast<const float*>(row)[d];
    case KvFormat::kBf16:
      return bf16_value(reinterpret_cast<const uint16_t*>(row)[d]);
    case KvFormat::kFp8: {
      const int nope = D - rope_dim;
      if (d >= nope) return bf16_value(reinterpret_cast<const uint16_t*>(row + nope)[d - nope]);
      return e4m3_value(byte_at(d)) * e8m0_value(byte_at(nope + 2 * rope_dim + d / kFp8RowBlock));
    }
    case KvFormat::kFp4:
      return e2m1_value(static_cast<uint32_t>(byte_at(d / 2)) >> (4 * (d % 2))) *
             e8m0_value(byte_at(D / 2 + d / kFp4RowBlock));
    case KvFormat::kFp8By128:
      break;  // refused on the host
  }
  return 0;
}

}  // namespace hadal::ops
