// The second half of mHC: sixteen columns of all streams are loaded, mixed and stored before the next sixteen.
#pragma once

#include "ops/f32x16.h"
#include "ops/hc_post/hc_post.h"
#include "ops/tasks.h"

namespace hadal::ops {
namespace {

constexpr int64_t kStreamsMax = 8;

// kStreams 0: n of them. Every published model has 4, whose 20 coefficients and 5 columns stay in registers (AVX-512).
template <int64_t kStreams>
inline void mix_streams(float* x, const float* u, const float* post, const float* comb, int64_t n, int64_t C) {
  const int64_t streams = kStreams > 0 ? kStreams : n;
  // Copies: x is written below, and the compiler cannot know that it is not also comb.
  float post_of[kStreamsMax];
  float comb_of[kStreamsMax * kStreamsMax];
  for (int64_t j = 0; j < streams; ++j) post_of[j] = post[j];
  for (int64_t i = 0; i < streams * streams; ++i) comb_of[i] = comb[i];

  const auto mix = [&](auto load_lanes, auto store_lanes, int64_t c) {
    F32x16 source[kStreams > 0 ? kStreams : kStreamsMax];
    for (int64_t i = 0; i < streams; ++i) source[i] = load_lanes(x + i * C + c);
    const F32x16 output = load_lanes(u + c);
    for (int64_t j = 0; j < streams; ++j) {
      F32x16 mixed = broadcast(post_of[j]) * output;
      for (int64_t i = 0; i < streams; ++i) mixed = fma(broadcast(comb_of[i * streams + j]), source[i], mixed);
      store_lanes(x + j * C + c, mixed);
    }
  };
  const int64_t whole = C / 16 * 16;
  for (int64_t c = 0; c < whole; c += 16) {
    mix([](const float* p) { return load(p); }, [](float* p, F32x16 v) { store(p, v); }, c);
  }
  const int64_t rest = C - whole;
  if (rest > 0) {
    mix([&](const float* p) { return load_first(p, rest); }, [&](float* p, F32x16 v) { store_first(p, v, rest); },
        whole);
  }
}

inline void hc_post_tokens(CpuDevice& cpu, const HcPost& op) {
  const int64_t n = op.n;
  cpu.pool().for_slices(op.T, rows_per_task(4 * (2 * n + 1) * op.C), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* x = op.x + t * n * op.C;
      const float* u = op.u + t * op.C;
      if (n == 4) {
        mix_streams<4>(x, u, op.post + t * n, op.comb + t * n * n, n, op.C);
      } else {
        mix_streams<0>(x, u, op.post + t * n, op.comb + t * n * n, n, op.C);
      }
    }
  });
}

}  // namespace
}  // namespace hadal::ops
