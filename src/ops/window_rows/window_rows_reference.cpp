#include <cstring>
#include <vector>

#include "ops/window_rows/window_rows.h"

namespace hadal::ops {

void window_rows_reference(CpuDevice&, const WindowRows& op) {
  const auto bytes = static_cast<size_t>(op.row_bytes);
  const auto slot = [&](int64_t position) { return op.ring + position % op.window * op.row_bytes; };
  if (op.rows != nullptr) {
    for (int64_t i = 0; i < op.n_past(); ++i) {
      std::memcpy(op.rows + i * op.row_bytes, slot(op.position0 - op.n_past() + i), bytes);
    }
  }
  std::vector<std::byte> row(bytes);
  for (int64_t t = 0; t < op.T; ++t) {
    encode_row(op.format, op.kv + t * op.D, op.D, op.rope_dim, row.data());
    std::memcpy(slot(op.position0 + t), row.data(), bytes);
    if (op.rows != nullptr) std::memcpy(op.rows + (op.n_past() + t) * op.row_bytes, row.data(), bytes);
  }
}

}  // namespace hadal::ops
