#include "ops/hc_post/hc_post.h"

namespace hadal::ops {

void hc_post_reference(CpuDevice&, const HcPost& op) {
  for (int64_t t = 0; t < op.T; ++t) {
    float* x = op.x + t * op.n * op.C;
    const float* post = op.post + t * op.n;
    const float* comb = op.comb + t * op.n * op.n;
    for (int64_t c = 0; c < op.C; ++c) {
      float source[8];
      for (int64_t i = 0; i < op.n; ++i) source[i] = x[i * op.C + c];
      for (int64_t j = 0; j < op.n; ++j) {
        float sum = post[j] * op.u[t * op.C + c];
        for (int64_t i = 0; i < op.n; ++i) sum += comb[i * op.n + j] * source[i];
        x[j * op.C + c] = sum;
      }
    }
  }
}

}  // namespace hadal::ops
