#include "ops/linear/block_rows.h"

#include <algorithm>

#include "base/blocks/block_codec.h"
#include "ops/thread_scratch.h"

namespace hadal::ops {
namespace {

// 16 rows of 4,096 floats: 256 KiB stay in L2 until their tokens have passed.
constexpr int64_t kDecodedRows = 16;

}  // namespace

void decoded_row_block(RowBlockKernel row_block, const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y,
                       int64_t y_stride) {
  const int64_t row_bytes = w.row_bytes();
  auto* floats = reinterpret_cast<float*>(
      thread_scratch(ScratchUse::kDecoded, static_cast<size_t>(std::min(n, kDecodedRows) * w.cols) * sizeof(float)));
  Weight decoded{.dtype = DType::kF32, .rows = 0, .cols = w.cols};
  decoded.data = reinterpret_cast<const std::byte*>(floats);
  for (int64_t r = 0; r < n; r += kDecodedRows) {
    decoded.rows = std::min(kDecodedRows, n - r);
    decode_values(w.dtype, w.data + (row0 + r) * row_bytes, decoded.rows * w.cols, floats);
    row_block(decoded, 0, decoded.rows, x, y + r, y_stride);
  }
}

}  // namespace hadal::ops
