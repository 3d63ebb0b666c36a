// One token's streams: a pass for the dot and the two means of squares each, then one that adds the value.
#pragma once

#include <cmath>

#include "ops/engram_gate/engram_gate.h"
#include "ops/f32x16.h"
#include "ops/rms_norm/rms_norm_kernel.h"
#include "ops/tasks.h"

namespace hadal::ops {
namespace {

inline float gate_of(float dot) {
  const float magnitude = std::fabs(dot);
  const float s = std::copysign(std::sqrt(magnitude < 1e-6f ? 1e-6f : magnitude), dot);
  return 1.0f / (1.0f + std::exp(-s));
}

// sum_c x q k key
inline float weighted_dot(const float* x, const float* q, const float* k, const float* key, int64_t C) {
  F32x16 total = broadcast(0);
  const int64_t whole = C / 16 * 16;
  for (int64_t c = 0; c < whole; c += 16) {
    total = fma(load(x + c) * load(q + c), load(k + c) * load(key + c), total);
  }
  const int64_t rest = C - whole;
  if (rest > 0) {
    total = fma(load_first(x + whole, rest) * load_first(q + whole, rest),
                load_first(k + whole, rest) * load_first(key + whole, rest), total);
  }
  return sum(total);
}

inline void engram_gate_token(const EngramGate& op, int64_t t) {
  const int64_t C = op.C;
  const float* value = op.key_value + (t * (op.n + 1) + op.n) * C;
  const float inverse_root = 1.0f / std::sqrt(static_cast<float>(C));
  for (int64_t j = 0; j < op.n; ++j) {
    float* x = op.x + (t * op.n + j) * C;
    const float* key = op.key_value + (t * (op.n + 1) + j) * C;
    // The scales first: with eps 1e-20 one of them may be 1e10, and the sum of products tiny.
    const float scale = inverse_rms(x, C, op.eps) * inverse_rms(key, C, op.eps) * inverse_root;
    const F32x16 gate = broadcast(gate_of(weighted_dot(x, op.q_weight + j * C, op.k_weight + j * C, key, C) * scale));
    const int64_t whole = C / 16 * 16;
    for (int64_t c = 0; c < whole; c += 16) store(x + c, fma(gate, load(value + c), load(x + c)));
    const int64_t rest = C - whole;
    if (rest > 0) {
      store_first(x + whole, fma(gate, load_first(value + whole, rest), load_first(x + whole, rest)), rest);
    }
  }
}

inline void engram_gate_tokens(CpuDevice& cpu, const EngramGate& op) {
  cpu.pool().for_slices(op.T, rows_per_task(4 * (4 * op.n + 1) * op.C), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) engram_gate_token(op, t);
  });
}

}  // namespace
}  // namespace hadal::ops
