#include "ops/stream_add/stream_add.h"

namespace hadal::ops {

void stream_add_reference(CpuDevice&, const StreamAdd& op) {
  for (int64_t t = 0; t < op.T; ++t) {
    for (int64_t j = 0; j < op.n; ++j) {
      for (int64_t c = 0; c < op.C; ++c) op.x[(t * op.n + j) * op.C + c] += op.u[t * op.C + c];
    }
  }
}

}  // namespace hadal::ops
