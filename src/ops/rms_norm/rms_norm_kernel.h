// RMS normalisation of one row, for rms_norm and for every op that ends or begins with it.
#pragma once

#include <cmath>

#include "ops/f32x16.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/tasks.h"

namespace hadal::ops {
namespace {

// Four chains of 16 lanes: a fused multiply-add takes 4 cycles and two can start in each, so one chain alone would run
// at an eighth of the speed.
constexpr int64_t kChains = 4;

// 1 / sqrt(mean(x^2) + eps). Partial sum i holds the squares of x[c] with c mod 64 = i, c ascending.
inline float inverse_rms(const float* x, int64_t C, float eps) {
  F32x16 squares[kChains] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
  int64_t c = 0;
  for (; c + 16 * kChains <= C; c += 16 * kChains) {
    for (int64_t i = 0; i < kChains; ++i) {
      const F32x16 v = load(x + c + 16 * i);
      squares[i] = fma(v, v, squares[i]);
    }
  }
  if (c < C) {
    for (int64_t i = 0; i < kChains; ++i) {
      const int64_t rest = C - c - 16 * i;
      const F32x16 v = load_first(x + c + 16 * i, rest < 0 ? 0 : rest < 16 ? rest : 16);
      squares[i] = fma(v, v, squares[i]);
    }
  }
  const double total = sum((squares[0] + squares[1]) + (squares[2] + squares[3]));
  return static_cast<float>(1.0 / std::sqrt(total / static_cast<double>(C) + static_cast<double>(eps)));
}

inline void rms_norm_row(const float* x, const float* gain, float* y, int64_t C, float eps) {
  const F32x16 scale = broadcast(inverse_rms(x, C, eps));
  const int64_t whole = C / 16 * 16;
  if (gain != nullptr) {
    for (int64_t c = 0; c < whole; c += 16) store(y + c, load(x + c) * scale * load(gain + c));
    const int64_t rest = C - whole;
    store_first(y + whole, load_first(x + whole, rest) * scale * load_first(gain + whole, rest), rest);
  } else {
    for (int64_t c = 0; c < whole; c += 16) store(y + c, load(x + c) * scale);
    store_first(y + whole, load_first(x + whole, C - whole) * scale, C - whole);
  }
}

inline void rms_norm_rows(CpuDevice& cpu, const RmsNorm& op) {
  cpu.pool().for_slices(op.T, rows_per_task(8 * op.C), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      rms_norm_row(op.x + t * op.x_stride, op.gain, op.y + t * op.y_stride, op.C, op.eps);
    }
  });
}

}  // namespace
}  // namespace hadal::ops
