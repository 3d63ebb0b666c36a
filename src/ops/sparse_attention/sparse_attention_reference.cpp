#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/sparse_attention/sparse_attention.h"

namespace hadal::ops {

void sparse_attention_reference(CpuDevice& cpu, const SparseAttention& op) {
  cpu.pool().run(op.T, [&](int64_t t) {
    const int64_t n_window = op.window_rows_of(t);
    const int64_t n_entries = op.entries_of(t);
    const auto n = static_cast<size_t>(n_window + n_entries);
    const auto D = static_cast<size_t>(op.D);
    std::vector<float> kv(n * D);
    for (int64_t i = 0; i < n_window; ++i) {
      const std::byte* row = op.window + (op.window_begin[t] + i) * op.window_row_bytes;
      decode_row_reference(op.format, row, op.D, op.rope_dim, kv.data() + i * op.D);
    }
    for (int64_t i = 0; i < n_entries; ++i) {
      const int64_t j = op.chosen != nullptr ? op.chosen[t * op.chosen_stride + i] : i;
      decode_row_reference(op.format, op.entries.row(j), op.D, op.rope_dim, kv.data() + (n_window + i) * op.D);
    }
    std::vector<double> weight(n);
    for (int64_t h = 0; h < op.H; ++h) {
      const float* q = op.q + (t * op.H + h) * op.D;
      double max = op.sink_of(h);
      for (size_t e = 0; e < n; ++e) {
        double dot = 0;
        for (size_t d = 0; d < D; ++d) dot += static_cast<double>(q[d]) * static_cast<double>(kv[e * D + d]);
        weight[e] = dot * static_cast<double>(op.scale);
        max = std::max(max, weight[e]);
      }
      double sum = n == 0 ? 1 : std::exp(static_cast<double>(op.sink_of(h)) - max);
      for (double& w : weight) sum += w = std::exp(w - max);
      for (size_t d = 0; d < static_cast<size_t>(op.value_dim); ++d) {
        double o = 0;
        for (size_t e = 0; e < n; ++e) o += weight[e] * static_cast<double>(kv[e * D + d]);
        op.out[(t * op.H + h) * op.value_dim + static_cast<int64_t>(d)] = static_cast<float>(o / sum);
      }
    }
  });
}

}  // namespace hadal::ops
