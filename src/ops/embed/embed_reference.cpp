#include <algorithm>

#include "ops/embed/embed.h"
#include "ops/linear/linear.h"

namespace hadal::ops {

void embed_reference(CpuDevice&, const Embed& op) {
  const int64_t C = op.table.cols;
  for (int64_t t = 0; t < op.T; ++t) {
    float* first = op.x + t * op.n * C;
    for (int64_t c = 0; c < C; ++c) first[c] = weight_at(op.table, op.ids[t], c);
    for (int64_t j = 1; j < op.n; ++j) std::copy_n(first, C, first + j * C);
  }
}

}  // namespace hadal::ops
