// Layer normalisation of one row: the mean first, then the squares around it. A row of the indexer is 128 floats, which
// stay in registers and the first-level cache for all three walks.
#pragma once

#include <cmath>

#include "ops/f32x16.h"
#include "ops/layer_norm/layer_norm.h"
#include "ops/tasks.h"

namespace hadal::ops {
namespace {

inline void layer_norm_row(const LayerNorm& op, float* x) {
  const auto n = static_cast<double>(op.C);
  F32x16 total = broadcast(0);
  for (int64_t c = 0; c < op.C; c += 16) total = total + load(x + c);
  const F32x16 mean = broadcast(static_cast<float>(static_cast<double>(sum(total)) / n));
  F32x16 squares = broadcast(0);
  for (int64_t c = 0; c < op.C; c += 16) {
    const F32x16 v = load(x + c) - mean;
    squares = fma(v, v, squares);
  }
  const double variance = static_cast<double>(sum(squares)) / n;
  const F32x16 scale = broadcast(static_cast<float>(1.0 / std::sqrt(variance + static_cast<double>(op.eps))));
  for (int64_t c = 0; c < op.C; c += 16) {
    store(x + c, fma((load(x + c) - mean) * scale, load(op.gain + c), load(op.bias + c)));
  }
}

inline void layer_norm_rows(CpuDevice& cpu, const LayerNorm& op) {
  cpu.pool().for_slices(op.T, rows_per_task(8 * op.C), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) layer_norm_row(op, op.x + t * op.C);
  });
}

}  // namespace
}  // namespace hadal::ops
