#include "model/convert/weight_values.h"

#include <cstring>

#include "base/blocks/block_codec.h"

namespace hadal {
namespace {

float scale_at(const Weight& w, int64_t row, int64_t col) {
  const int64_t index = row / w.scale_rows * w.scale_stride() + col / w.scale_cols;
  if (w.scale_dtype == DType::kF8E8M0) return e8m0_to_f32(static_cast<uint8_t>(w.scale[index]));
  float scale;
  std::memcpy(&scale, w.scale + 4 * index, sizeof scale);
  return scale;
}

}  // namespace

void decode_weight_row(const Weight& w, int64_t row, float* values) {
  const std::byte* data = w.data + row * w.row_bytes();
  if (has_codec(w.dtype)) return decode_values(w.dtype, data, w.cols, values);
  float scale = 1;
  for (int64_t c = 0; c < w.cols; ++c) {
    if (c % w.scale_cols == 0) scale = scale_at(w, row, c);
    if (w.dtype == DType::kF8E4M3) {
      values[c] = e4m3_to_f32(static_cast<uint8_t>(data[c])) * scale;
    } else {
      const auto pair = static_cast<uint8_t>(data[c / 2]);
      values[c] = e2m1_to_f32(c % 2 == 0 ? pair & 15 : pair >> 4) * scale;
    }
  }
}

}  // namespace hadal
