// The first half of mHC for one token. A token's streams (4 x 4096 floats, 64 KiB) are read twice, the second time from
// the second-level cache; between the two lie the few numbers that decide how they are mixed.
#pragma once

#include "ops/f32x16.h"
#include "ops/f32x16_math.h"
#include "ops/hc_pre/hc_pre.h"
#include "ops/rms_norm/rms_norm_kernel.h"
#include "ops/tasks.h"

namespace hadal::ops {
namespace {

constexpr int64_t kStreamsMax = 8;

// The 4 x 4 matrix of every published model lies in one F32x16: the same steps as sinkhorn(), a division for a
// division.
inline F32x16 sinkhorn_4x4(F32x16 a, int64_t iters, float eps) {
  const F32x16 e = broadcast(eps);
  a = exp_nonpositive(a - row_maxima(a));
  a = a / row_sums(a) + e;
  a = a / (column_sums(a) + e);
  for (int64_t iteration = 1; iteration < iters; ++iteration) {
    a = a / (row_sums(a) + e);
    a = a / (column_sums(a) + e);
  }
  return a;
}

// u[c] = sum_j pre[j] x[j, c]. kStreams 0: n of them.
template <int64_t kStreams>
inline void collapse_streams(const float* x, const float* pre, float* u, int64_t n, int64_t C) {
  const int64_t streams = kStreams > 0 ? kStreams : n;
  const auto mix = [&](auto load_lanes, int64_t c) {
    F32x16 mixed = broadcast(pre[0]) * load_lanes(x + c);
    for (int64_t j = 1; j < streams; ++j) mixed = fma(broadcast(pre[j]), load_lanes(x + j * C + c), mixed);
    return mixed;
  };
  const int64_t whole = C / 16 * 16;
  for (int64_t c = 0; c < whole; c += 16) store(u + c, mix([](const float* p) { return load(p); }, c));
  const int64_t rest = C - whole;
  if (rest > 0) store_first(u + whole, mix([&](const float* p) { return load_first(p, rest); }, whole), rest);
}

inline void collapse_token(const HcPre& op, int64_t t, const float* pre) {
  const float* x = op.x + t * op.n * op.C;
  if (op.n == 4) {
    collapse_streams<4>(x, pre, op.u + t * op.C, op.n, op.C);
  } else {
    collapse_streams<0>(x, pre, op.u + t * op.C, op.n, op.C);
  }
}

inline void hc_pre_token(const HcPre& op, int64_t t) {
  const int64_t n = op.n;
  if (op.projected == nullptr) return collapse_token(op, t, op.pre_in + t * n);
  const bool is_head = op.comb == nullptr;
  const float* x = op.x + t * n * op.C;
  const float* projected = op.projected + t * (is_head ? n : (2 + n) * n);
  const float q = inverse_rms(x, n * op.C, op.norm_eps);

  // The n logits of pre, then the n of post: at most 16 lanes.
  float gates[2 * kStreamsMax] = {};
  for (int64_t j = 0; j < n; ++j) gates[j] = projected[j] * q * op.scale[0] + op.base[j];
  if (!is_head) {
    for (int64_t j = n; j < 2 * n; ++j) gates[j] = projected[j] * q * op.scale[1] + op.base[j];
  }
  store(gates, sigmoid(load(gates)));
  float pre[kStreamsMax];
  for (int64_t j = 0; j < n; ++j) pre[j] = gates[j] + op.hc_eps;

  if (!is_head) {
    for (int64_t j = 0; j < n; ++j) op.post[t * n + j] = 2.0f * gates[n + j];
    float* comb = op.comb + t * n * n;
    for (int64_t i = 0; i < n * n; ++i) comb[i] = projected[2 * n + i] * q * op.scale[2] + op.base[2 * n + i];
    if (n == 4) {
      store(comb, sinkhorn_4x4(load(comb), op.sinkhorn_iters, op.hc_eps));
    } else {
      sinkhorn(comb, n, op.sinkhorn_iters, op.hc_eps);
    }
  }

  // The old mix is used up before the new one takes its place.
  collapse_token(op, t, op.pre_in != nullptr ? op.pre_in + t * n : pre);
  if (op.pre_out != nullptr) {
    for (int64_t j = 0; j < n; ++j) op.pre_out[t * n + j] = pre[j];
  }
}

inline void hc_pre_tokens(CpuDevice& cpu, const HcPre& op) {
  cpu.pool().for_slices(op.T, rows_per_task(4 * (2 * op.n + 1) * op.C), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) hc_pre_token(op, t);
  });
}

}  // namespace
}  // namespace hadal::ops
