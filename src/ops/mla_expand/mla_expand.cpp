// W_UV[h] times the rows of head h: linear's blocks of rows, cut where a head or a row of scale tiles ends.
#include "ops/mla_expand/mla_expand.h"

#include <algorithm>
#include <vector>

#include "ops/linear/linear_kernels.h"

namespace hadal::ops {
namespace {

template <RowBlockKernel kernel>
void expand_by_blocks(CpuDevice& cpu, const MlaExpand& op) {
  const int64_t T = op.z.T;
  const int64_t head_rows = op.nope_dim + op.value_dim;
  const int64_t y_stride = op.H * op.value_dim;
  const int64_t block = rows_per_task(op.wkv_b, T, cpu.pool().size());
  const int64_t blocks_of_head_max = (op.value_dim + block - 1) / block + 1;
  std::vector<const std::byte*> tokens(static_cast<size_t>(op.H * T));
  for (int64_t h = 0; h < op.H; ++h) {
    for (int64_t t = 0; t < T; ++t) tokens[static_cast<size_t>(h * T + t)] = op.z.row(t, h);
  }
  cpu.pool().run(op.H * blocks_of_head_max, [&](int64_t task) {
    const int64_t h = task / blocks_of_head_max;
    const int64_t first = h * head_rows + op.nope_dim;
    // Blocks begin at multiples of `block`, which divides the rows of a tile.
    const int64_t begin = std::max(first, (first / block + task % blocks_of_head_max) * block);
    const int64_t end = std::min(first + op.value_dim, (begin / block + 1) * block);
    if (begin >= end) return;
    const TokenRows rows{.format = op.z.format, .K = op.z.K, .rows = tokens.data() + h * T, .T = T};
    kernel(op.wkv_b, begin, end - begin, rows, op.y + h * op.value_dim + begin - first, y_stride);
  });
}

}  // namespace

std::span<const Version<MlaExpand>> mla_expand_versions() {
  static constexpr Version<MlaExpand> kVersions[] = {
      {CpuLevel::kPortable, mla_expand_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, expand_by_blocks<row_block_avx2>},
                         {CpuLevel::kAvx512, expand_by_blocks<row_block_avx512>}, )};
  return kVersions;
}

void mla_expand(Device& device, const MlaExpand& op) {
  HADAL_CHECK(op.wkv_b.rows == op.H * (op.nope_dim + op.value_dim) && op.wkv_b.cols == op.z.K && op.z.groups == op.H,
              "mla_expand: wkv_b, heads and widths", op.wkv_b.rows, op.wkv_b.cols, op.H, op.nope_dim, op.value_dim,
              op.z.K, op.z.groups);
  CpuDevice& cpu = as_cpu(device);
  choose_version(mla_expand_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
