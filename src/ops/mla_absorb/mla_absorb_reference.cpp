#include <algorithm>

#include "ops/linear/linear.h"
#include "ops/mla_absorb/mla_absorb.h"

namespace hadal::ops {

void mla_absorb_reference(CpuDevice&, const MlaAbsorb& op) {
  const int64_t q_dim = op.nope_dim + op.rope_dim;
  for (int64_t t = 0; t < op.T; ++t) {
    for (int64_t h = 0; h < op.H; ++h) {
      const float* q = op.q + (t * op.H + h) * q_dim;
      float* y = op.y + (t * op.H + h) * (op.latent_dim + op.rope_dim);
      const int64_t row0 = h * (op.nope_dim + op.value_dim);
      for (int64_t c = 0; c < op.latent_dim; ++c) {
        double sum = 0;
        for (int64_t d = 0; d < op.nope_dim; ++d) {
          sum += static_cast<double>(q[d]) * static_cast<double>(weight_at(op.wkv_b, row0 + d, c));
        }
        y[c] = static_cast<float>(sum);
      }
      std::copy_n(q + op.nope_dim, op.rope_dim, y + op.latent_dim);
    }
  }
}

}  // namespace hadal::ops
