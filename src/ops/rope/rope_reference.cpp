#include "ops/rope/rope.h"

namespace hadal::ops {

void rope_reference(CpuDevice&, const Rope& op) {
  for (int64_t t = 0; t < op.T; ++t) {
    const float* cos_sin = op.cos_sin + t * op.rope_dim;
    for (int64_t h = 0; h < op.H; ++h) {
      float* x = op.x + t * op.t_stride + h * op.D + (op.D - op.rope_dim);
      for (int64_t i = 0; i < op.rope_dim; i += 2) {
        const float c = cos_sin[i];
        const float s = op.inverse ? -cos_sin[i + 1] : cos_sin[i + 1];
        const float a = x[i];
        const float b = x[i + 1];
        x[i] = a * c - b * s;
        x[i + 1] = a * s + b * c;
      }
    }
  }
}

}  // namespace hadal::ops
