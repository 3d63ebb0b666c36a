#include <cmath>

#include "ops/layer_norm/layer_norm.h"

namespace hadal::ops {

void layer_norm_reference(CpuDevice&, const LayerNorm& op) {
  const auto C = static_cast<double>(op.C);
  for (int64_t t = 0; t < op.T; ++t) {
    float* x = op.x + t * op.C;
    double mean = 0;
    for (int64_t c = 0; c < op.C; ++c) mean += static_cast<double>(x[c]) / C;
    double variance = 0;
    for (int64_t c = 0; c < op.C; ++c) {
      variance += (static_cast<double>(x[c]) - mean) * (static_cast<double>(x[c]) - mean) / C;
    }
    const double scale = 1.0 / std::sqrt(variance + static_cast<double>(op.eps));
    for (int64_t c = 0; c < op.C; ++c) {
      const double y = (static_cast<double>(x[c]) - mean) * scale * static_cast<double>(op.gain[c]);
      x[c] = static_cast<float>(y + static_cast<double>(op.bias[c]));
    }
  }
}

}  // namespace hadal::ops
