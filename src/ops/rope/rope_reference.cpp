#include "ops/rope/rope.h"

namespace hadal::ops {

void rope_reference(CpuDevice&, const Rope& op) {
  for (int64_t t = 0; t < op.T; ++t) {
    const float* cos_sin = op.cos_sin + t * op.rope_dim;
    for (int64_t h = 0; h < op.H; ++h) {
      float* head = op.x + t * op.t_stride + h * op.D;
      for (int64_t i = 0; i < op.rope_dim / 2; ++i) {
        const float c = cos_sin[2 * i];
        const float s = op.inverse ? -cos_sin[2 * i + 1] : cos_sin[2 * i + 1];
        const bool is_halves = op.layout == RopeLayout::kHalvesFirst;
        float& x_a = is_halves ? head[i] : head[op.D - op.rope_dim + 2 * i];
        float& x_b = is_halves ? head[i + op.rope_dim / 2] : head[op.D - op.rope_dim + 2 * i + 1];
        const float a = x_a;
        const float b = x_b;
        x_a = a * c - b * s;
        x_b = a * s + b * c;
      }
    }
  }
}

}  // namespace hadal::ops
