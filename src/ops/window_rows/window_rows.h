// The window of new tokens as one run of stored rows, and the ring that keeps the last ones moved on.
//
//   rows[i] = row of position first + i,  first = max(0, position0 - (window - 1)),  first + i < position0 + T
//             past ones as the ring holds them, new ones encoded from kv
//   ring[p mod window] = row of position p, for the last `window` positions
//
// Token t then sees the rows from max(0, position0 + t - (window - 1)) - first on, up to its own.
#pragma once

#include <algorithm>
#include <span>

#include "device/device.h"
#include "ops/kv_rows/kv_rows.h"
#include "ops/versions.h"

namespace hadal::ops {

struct WindowRows {
  const float* kv = nullptr;  // [T, D] new tokens: normed, rotated, rounded
  std::byte* ring = nullptr;  // [window, row_bytes] in place
  std::byte* rows = nullptr;  // [n_past + T, row_bytes] out; null: nobody asks, only the ring moves on
  int64_t T = 0;
  int64_t position0 = 0;  // of kv's first row
  int64_t window = 0;     // at least 1
  int64_t D = 0;
  int64_t rope_dim = 0;
  KvFormat format = KvFormat::kF32;
  int64_t row_bytes = 0;  // a multiple of 4

  constexpr int64_t n_past() const { return std::min(position0, window - 1); }  // rows that come from the ring
};

// Exact: rows as encode_row makes them. Cost: reads and writes n_past rows, encodes T.
void window_rows(Device& device, const WindowRows& op);
// Of several sequences (ops/batch.h): all want rows, or none.
void window_rows(Device& device, std::span<const WindowRows> ops);

void window_rows_reference(CpuDevice& cpu, const WindowRows& op);
void window_rows_portable(CpuDevice& cpu, const WindowRows& op);
std::span<const Version<WindowRows>> window_rows_versions();

}  // namespace hadal::ops
