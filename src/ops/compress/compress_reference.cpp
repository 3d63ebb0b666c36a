#include <cmath>
#include <limits>
#include <vector>

#include "ops/compress/compress.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/rope/rope.h"

namespace hadal::ops {
namespace {

// One row that a group pools: where its token stands, and which half of the channels it brings.
struct PooledRow {
  int64_t row;
  int64_t phase;     // t mod m
  int64_t channel0;  // 0 or d
};

void rows_of_group(const Compress& op, int64_t group, std::vector<PooledRow>& rows) {
  const bool overlaps = op.coff == 2;
  const int64_t first = (group + (op.has_previous ? 1 : 0)) * op.m;
  rows.clear();
  if (overlaps && (group > 0 || op.has_previous)) {
    for (int64_t i = 0; i < op.m; ++i) rows.push_back({first - op.m + i, i, 0});
  }
  for (int64_t i = 0; i < op.m; ++i) rows.push_back({first + i, i, overlaps ? op.d : 0});
}

}  // namespace

void compress_reference(CpuDevice& cpu, const Compress& op) {
  const int64_t width = op.coff * op.d;
  std::vector<PooledRow> rows;
  for (int64_t g = 0; g < op.n_groups; ++g) {
    rows_of_group(op, g, rows);
    float* out = op.out + g * op.d;
    for (int64_t c = 0; c < op.d; ++c) {
      const auto score = [&](const PooledRow& r) {
        const float bias = op.ape != nullptr ? op.ape[r.phase * width + r.channel0 + c] : 0.0f;
        return op.z[r.row * width + r.channel0 + c] + bias;
      };
      float max = -std::numeric_limits<float>::infinity();
      for (const PooledRow& r : rows) max = std::max(max, score(r));
      float sum = 0;
      float pooled = 0;
      for (const PooledRow& r : rows) {
        const float e = std::exp(score(r) - max);
        sum += e;
        pooled += e * op.k[r.row * width + r.channel0 + c];
      }
      out[c] = pooled / sum;
    }
  }
  rms_norm_reference(cpu, {.x = op.out,
                           .gain = op.gain,
                           .y = op.out,
                           .T = op.n_groups,
                           .C = op.d,
                           .x_stride = op.d,
                           .y_stride = op.d,
                           .eps = op.eps});
  rope_reference(cpu, {.x = op.out,
                       .T = op.n_groups,
                       .H = 1,
                       .D = op.d,
                       .t_stride = op.d,
                       .rope_dim = op.rope_dim,
                       .cos_sin = op.cos_sin,
                       .inverse = false});
}

}  // namespace hadal::ops
