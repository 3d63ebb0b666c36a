// A task is one head and 64 channels of the latent. One token takes its weights from memory, row by row. For several,
// they are widened once into a tile, nope_dim rows of 64 floats (32 KiB in the releases), which stays in the first or
// second-level cache and meets four tokens at a time. Both walk the same chain over d.
#pragma once

#include <cstring>

#include "base/unrolled.h"
#include "ops/f32x16.h"
#include "ops/mla_absorb/mla_absorb.h"
#include "ops/stored_numbers.h"
#include "ops/thread_scratch.h"

namespace hadal::ops {
namespace {

constexpr int64_t kTileChannels = 64;
// 4 tokens x 4 vectors of accumulators and 4 of weights: 20 of 32 AVX-512 registers; 16 chains cover the latency.
constexpr int64_t kTileTokens = 4;

// What one task works on: 16 n_vectors channels from c0 on of one head.
struct AbsorbTile {
  const MlaAbsorb& op;
  int64_t h, c0;

  int64_t row0() const { return h * (op.nope_dim + op.value_dim); }
  const float* q(int64_t t) const { return op.q + (t * op.H + h) * (op.nope_dim + op.rope_dim); }
  float* y(int64_t t) const { return op.y + (t * op.H + h) * (op.latent_dim + op.rope_dim) + c0; }
};

template <int n_vectors>
inline void absorb_one_token(const AbsorbTile& tile) {
  F32x16 sum[n_vectors];
  unrolled<n_vectors>([&](auto v) HADAL_INLINE { sum[v] = broadcast(0); });
  const float* q = tile.q(0);
  for_each_row<n_vectors>(tile.op.wkv_b, tile.row0(), tile.op.nope_dim, tile.c0,
                          [&](int64_t d, const F32x16* w) HADAL_INLINE {
                            const F32x16 x = broadcast(q[d]);
                            unrolled<n_vectors>([&](auto v) HADAL_INLINE { sum[v] = fma(x, w[v], sum[v]); });
                          });
  unrolled<n_vectors>([&](auto v) HADAL_INLINE { store(tile.y(0) + 16 * v, sum[v]); });
}

template <int n_tokens, int n_vectors>
inline void absorb_tokens(const AbsorbTile& tile, const float* weights, int64_t t0) {
  F32x16 sum[n_tokens][n_vectors];
  const float* q[n_tokens];
  unrolled<n_tokens>([&](auto t) HADAL_INLINE {
    q[t] = tile.q(t0 + t);
    unrolled<n_vectors>([&](auto v) HADAL_INLINE { sum[t][v] = broadcast(0); });
  });
  const float* row = weights;
  for (int64_t d = 0; d < tile.op.nope_dim; ++d, row += 16 * n_vectors) {
    F32x16 w[n_vectors];
    unrolled<n_vectors>([&](auto v) HADAL_INLINE { w[v] = load(row + 16 * v); });
    unrolled<n_tokens>([&](auto t) HADAL_INLINE {
      const F32x16 x = broadcast(q[t][d]);
      unrolled<n_vectors>([&](auto v) HADAL_INLINE { sum[t][v] = fma(x, w[v], sum[t][v]); });
    });
  }
  unrolled<n_tokens>([&](auto t) HADAL_INLINE {
    unrolled<n_vectors>([&](auto v) HADAL_INLINE { store(tile.y(t0 + t) + 16 * v, sum[t][v]); });
  });
}

template <int n_vectors>
inline void absorb_tile(const AbsorbTile& tile) {
  const MlaAbsorb& op = tile.op;
  if (op.T == 1) return absorb_one_token<n_vectors>(tile);
  const auto bytes = static_cast<size_t>(op.nope_dim * 16 * n_vectors) * sizeof(float);
  auto* weights = reinterpret_cast<float*>(thread_scratch(ScratchUse::kPanel, bytes));
  for_each_row<n_vectors>(op.wkv_b, tile.row0(), op.nope_dim, tile.c0, [&](int64_t d, const F32x16* w) HADAL_INLINE {
    unrolled<n_vectors>([&](auto v) HADAL_INLINE { store(weights + (d * n_vectors + v) * 16, w[v]); });
  });
  int64_t t = 0;
  for (; t + kTileTokens <= op.T; t += kTileTokens) absorb_tokens<kTileTokens, n_vectors>(tile, weights, t);
  for (; t < op.T; ++t) absorb_tokens<1, n_vectors>(tile, weights, t);
}

inline void absorb_by_tiles(CpuDevice& cpu, const MlaAbsorb& op) {
  const int64_t n_wide = op.latent_dim / kTileChannels;
  const int64_t n_narrow = (op.latent_dim - n_wide * kTileChannels) / 16;
  const int64_t tiles_of_head = n_wide + n_narrow;
  cpu.pool().run(op.H * tiles_of_head, [&](int64_t task) {
    const int64_t h = task / tiles_of_head;
    const int64_t i = task % tiles_of_head;
    if (i < n_wide) {
      absorb_tile<4>({op, h, i * kTileChannels});
    } else {
      absorb_tile<1>({op, h, n_wide * kTileChannels + (i - n_wide) * 16});
    }
    if (i > 0) return;
    for (int64_t t = 0; t < op.T; ++t) {
      const float* rotated = op.q + (t * op.H + h) * (op.nope_dim + op.rope_dim) + op.nope_dim;
      std::memcpy(op.y + (t * op.H + h) * (op.latent_dim + op.rope_dim) + op.latent_dim, rotated,
                  static_cast<size_t>(op.rope_dim) * sizeof(float));
    }
  });
}

}  // namespace
}  // namespace hadal::ops
