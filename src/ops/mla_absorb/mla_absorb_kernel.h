// A task is one head and 64 channels of the latent. Its weights, nope_dim rows of 64 floats (32 KiB in the releases),
// are widened once into a tile that stays in the first or second-level cache, and meet four tokens at a time.
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

// What one task works on. n_vectors of 16 channels each, from channel c0 on.
struct AbsorbTile {
  const MlaAbsorb& op;
  int64_t h, c0;
  const float* weights;  // [nope_dim, 16 n_vectors]

  const float* q(int64_t t) const { return op.q + (t * op.H + h) * (op.nope_dim + op.rope_dim); }
  float* y(int64_t t) const { return op.y + (t * op.H + h) * (op.latent_dim + op.rope_dim) + c0; }
};

template <int n_tokens, int n_vectors>
inline void absorb_tokens(const AbsorbTile& tile, int64_t t0) {
  F32x16 sum[n_tokens][n_vectors];
  const float* q[n_tokens];
  unrolled<n_tokens>([&](auto t) HADAL_INLINE {
    q[t] = tile.q(t0 + t);
    unrolled<n_vectors>([&](auto v) HADAL_INLINE { sum[t][v] = broadcast(0); });
  });
  const float* row = tile.weights;
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
inline void absorb_tile(const MlaAbsorb& op, int64_t h, int64_t c0) {
  const auto bytes = static_cast<size_t>(op.nope_dim * 16 * n_vectors) * sizeof(float);
  auto* weights = reinterpret_cast<float*>(thread_scratch(ScratchUse::kPanel, bytes));
  const int64_t row0 = h * (op.nope_dim + op.value_dim);
  for (int64_t d = 0; d < op.nope_dim; ++d) {
    for (int64_t v = 0; v < n_vectors; ++v) {
      store(weights + (d * n_vectors + v) * 16, load_stored(op.wkv_b, row0 + d, c0 + 16 * v));
    }
  }
  const AbsorbTile tile{op, h, c0, weights};
  int64_t t = 0;
  for (; t + kTileTokens <= op.T; t += kTileTokens) absorb_tokens<kTileTokens, n_vectors>(tile, t);
  for (; t < op.T; ++t) absorb_tokens<1, n_vectors>(tile, t);
}

inline void absorb_by_tiles(CpuDevice& cpu, const MlaAbsorb& op) {
  const int64_t n_wide = op.latent_dim / kTileChannels;
  const int64_t n_narrow = (op.latent_dim - n_wide * kTileChannels) / 16;
  const int64_t tiles_of_head = n_wide + n_narrow;
  cpu.pool().run(op.H * tiles_of_head, [&](int64_t task) {
    const int64_t h = task / tiles_of_head;
    const int64_t i = task % tiles_of_head;
    if (i < n_wide) {
      absorb_tile<4>(op, h, i * kTileChannels);
    } else {
      absorb_tile<1>(op, h, n_wide * kTileChannels + (i - n_wide) * 16);
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
