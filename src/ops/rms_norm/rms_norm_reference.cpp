#include <cmath>

#include "ops/rms_norm/rms_norm.h"

namespace hadal::ops {

void rms_norm_reference(CpuDevice&, const RmsNorm& op) {
  for (int64_t t = 0; t < op.T; ++t) {
    const float* x = op.x + t * op.x_stride;
    float* y = op.y + t * op.y_stride;
    double sum = 0;
    for (int64_t c = 0; c < op.C; ++c) sum += static_cast<double>(x[c]) * x[c];
    const auto scale =
        static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(op.C) + static_cast<double>(op.eps)));
    for (int64_t c = 0; c < op.C; ++c) y[c] = x[c] * scale * (op.gain != nullptr ? op.gain[c] : 1.0f);
  }
}

}  // namespace hadal::ops
