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

inline void rope_tokens(CpuDevice& cpu, const Rope& op) {
  cpu.pool().for_slices(op.T, rows_per_task(8 * op.H * op.rope_dim), [&](int64_t begin, int64_t end) {
    if (op.inverse) {
      rotate_tokens<true>(op, begin, end);
    } else {
      rotate_tokens<false>(op, begin, end);
    }
  });
}

}  // namespace
}  // namespace hadal::ops
