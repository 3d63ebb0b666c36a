#include "ops/linear/linear_kernels.h"
#include "ops/mla_expand/mla_expand.h"

namespace hadal::ops {

void mla_expand_reference(CpuDevice&, const MlaExpand& op) {
  for (int64_t h = 0; h < op.H; ++h) {
    const int64_t first = h * (op.nope_dim + op.value_dim) + op.nope_dim;
    for (int64_t t = 0; t < op.z.T; ++t) {
      const std::byte* row = op.z.row(t, h);
      const TokenRows z{.format = op.z.format, .K = op.z.K, .rows = &row, .T = 1};
      row_block_reference(op.wkv_b, first, op.value_dim, z, op.y + (t * op.H + h) * op.value_dim, op.value_dim);
    }
  }
}

}  // namespace hadal::ops
