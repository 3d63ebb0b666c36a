// Rotation of one head, for rope and compress. A pair of channels is a complex number a + ib, and the table holds
// cos + i sin beside each other: the rotation is one complex product, its inverse the product with the conjugate.
#pragma once

#include "ops/f32x16.h"
#include "ops/rope/rope.h"
#include "ops/tasks.h"

namespace hadal::ops {
namespace {

template <bool kInverse>
inline F32x16 rotate(F32x16 pairs, F32x16 cos_sin) {
  return kInverse ? complex_multiply_conjugate(pairs, cos_sin) : complex_multiply(pairs, cos_sin);
}

// x[0, rope_dim) in place.
template <bool kInverse>
inline void rotate_head(float* x, const float* cos_sin, int64_t rope_dim) {
  const int64_t whole = rope_dim / 16 * 16;
  for (int64_t i = 0; i < whole; i += 16) store(x + i, rotate<kInverse>(load(x + i), load(cos_sin + i)));
  const int64_t rest = rope_dim - whole;
  if (rest > 0) {
    store_first(x + whole, rotate<kInverse>(load_first(x + whole, rest), load_first(cos_sin + whole, rest)), rest);
  }
}

template <bool kInverse>
inline void rotate_tokens(const Rope& op, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    float* rotated = op.x + t * op.t_stride + (op.D - op.rope_dim);
    for (int64_t h = 0; h < op.H; ++h) {
      rotate_head<kInverse>(rotated + h * op.D, op.cos_sin + t * op.rope_dim, op.rope_dim);
    }
  }
}

constexpr int64_t kHalfMax = 2048;

// Halves: first[0, n) and second[0, n) turn in place, sixteen pairs at a time.
inline void rotate_halves(float* first, float* second, const float* cos, const float* sin, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t lanes = n - i < 16 ? n - i : 16;
    const F32x16 a = load_first(first + i, lanes);
    const F32x16 b = load_first(second + i, lanes);
    const F32x16 c = load_first(cos + i, lanes);
    const F32x16 s = load_first(sin + i, lanes);
    store_first(first + i, a * c - b * s, lanes);
    store_first(second + i, a * s + b * c, lanes);
  }
}

inline void rotate_tokens_by_halves(const Rope& op, int64_t begin, int64_t end) {
  const int64_t half = op.rope_dim / 2;
  float cos[kHalfMax];
  float sin[kHalfMax];
  for (int64_t t = begin; t < end; ++t) {
    for (int64_t i = 0; i < half; ++i) {
      cos[i] = op.cos_sin[t * op.rope_dim + 2 * i];
      sin[i] = op.cos_sin[t * op.rope_dim + 2 * i + 1];
      if (op.inverse) sin[i] = -sin[i];
    }
    for (int64_t h = 0; h < op.H; ++h) {
      float* head = op.x + t * op.t_stride + h * op.D;
      rotate_halves(head, head + half, cos, sin, half);
    }
  }
}

inline void rope_tokens(CpuDevice& cpu, const Rope& op) {
  cpu.pool().for_slices(op.T, rows_per_task(8 * op.H * op.rope_dim), [&](int64_t begin, int64_t end) {
    if (op.layout == RopeLayout::kHalvesFirst) {
      rotate_tokens_by_halves(op, begin, end);
    } else if (op.inverse) {
      rotate_tokens<true>(op, begin, end);
    } else {
      rotate_tokens<false>(op, begin, end);
    }
  });
}

}  // namespace
}  // namespace hadal::ops
