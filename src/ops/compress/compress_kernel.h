// One group of the KV compressor: two passes over the group's rows, then the entry's norm and rotation.
#pragma once

#include <limits>

#include "ops/compress/compress.h"
#include "ops/f32x16.h"
#include "ops/rms_norm/rms_norm_kernel.h"
#include "ops/rope/rope_kernel.h"
#include "ops/tasks.h"

namespace hadal::ops {
namespace {

// The m tokens of a group with the channels that they bring to one entry; rows are `width` apart.
struct Run {
  const float* k;
  const float* z;
  const float* ape;  // unless the compressor has none
};

// One entry's rows: its own group, with overlap behind the group before.
struct Group {
  Run runs[2];
  int64_t n_runs = 0;
  int64_t m = 0;
  int64_t width = 0;
};

inline Group rows_of_group(const Compress& op, int64_t group) {
  const bool overlaps = op.coff == 2;
  const int64_t width = op.coff * op.d;
  const int64_t first = (group + (op.has_previous ? 1 : 0)) * op.m;
  const auto run = [&](int64_t row, int64_t channel0) {
    return Run{.k = op.k + row * width + channel0,
               .z = op.z + row * width + channel0,
               .ape = op.ape != nullptr ? op.ape + channel0 : nullptr};
  };
  Group rows{.runs = {}, .n_runs = 0, .m = op.m, .width = width};
  if (overlaps && (group > 0 || op.has_previous)) rows.runs[rows.n_runs++] = run(first - op.m, 0);
  rows.runs[rows.n_runs++] = run(first, overlaps ? op.d : 0);
  return rows;
}

// Channels that are pooled together: 512 x 3 accumulators x 4 B = 6 KiB stay in the first-level cache while the rows
// pass by in the order of memory. (Going down the rows 16 channels at a time keeps the accumulators in registers, but
// rows are 2 or 4 KiB apart, and their lines fall into the same few sets of that cache: half the speed.)
constexpr int64_t kPooledChannels = 512;

// Softmax-weighted mean over the rows, of n channels from c0 on; n is a multiple of 16 and at most kPooledChannels.
template <bool kHasApe>
inline void pool_channels(const Group& rows, int64_t c0, int64_t n, float* out) {
  alignas(64) float largest[kPooledChannels];
  alignas(64) float total[kPooledChannels];
  alignas(64) float pooled[kPooledChannels];
  for (int64_t c = 0; c < n; c += 16) {
    store(largest + c, broadcast(-std::numeric_limits<float>::infinity()));
    store(total + c, broadcast(0));
    store(pooled + c, broadcast(0));
  }
  const auto for_rows = [&](const auto& visit) {
    for (int64_t r = 0; r < rows.n_runs; ++r) {
      for (int64_t i = 0; i < rows.m; ++i) {
        const Run& run = rows.runs[r];
        const int64_t offset = i * rows.width + c0;
        visit(run.k + offset, run.z + offset, kHasApe ? run.ape + offset : nullptr);
      }
    }
  };
  const auto score = [](const float* z, const float* ape, int64_t c) {
    if constexpr (kHasApe) return load(z + c) + load(ape + c);
    return load(z + c);
  };
  for_rows([&](const float*, const float* z, const float* ape) {
    for (int64_t c = 0; c < n; c += 16) store(largest + c, max(score(z, ape, c), load(largest + c)));
  });
  for_rows([&](const float* k, const float* z, const float* ape) {
    for (int64_t c = 0; c < n; c += 16) {
      const F32x16 e = exp_nonpositive(score(z, ape, c) - load(largest + c));
      store(total + c, load(total + c) + e);
      store(pooled + c, fma(e, load(k + c), load(pooled + c)));
    }
  });
  for (int64_t c = 0; c < n; c += 16) store(out + c0 + c, load(pooled + c) / load(total + c));
}

inline void pool_group(const Compress& op, int64_t group, float* out) {
  const Group rows = rows_of_group(op, group);
  for (int64_t c = 0; c < op.d; c += kPooledChannels) {
    const int64_t n = op.d - c < kPooledChannels ? op.d - c : kPooledChannels;
    if (op.ape != nullptr) {
      pool_channels<true>(rows, c, n, out);
    } else {
      pool_channels<false>(rows, c, n, out);
    }
  }
}

inline void compress_groups(CpuDevice& cpu, const Compress& op) {
  // An exponential costs about as much as moving 16 bytes beside the 8 of k and z.
  const int64_t group_bytes = 24 * op.m * op.coff * op.d;
  cpu.pool().for_slices(op.n_groups, rows_per_task(group_bytes), [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      float* out = op.out + g * op.d;
      pool_group(op, g, out);
      rms_norm_row(out, op.gain, out, op.d, op.eps);
      rotate_head<false>(out + (op.d - op.rope_dim), op.cos_sin + g * op.rope_dim, op.rope_dim);
    }
  });
}

}  // namespace
}  // namespace hadal::ops
