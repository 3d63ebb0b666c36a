#include "ops/linear/linear.h"

namespace hadal::ops {

int64_t packed_rows_bytes(int64_t T, int64_t groups, int64_t K, RowFormat format) {
  const PackedRows rows{.format = format, .T = T, .groups = groups, .K = K, .data = nullptr};
  return T * groups * rows.row_bytes();
}

std::span<const Version<PackRows>> pack_rows_versions() {
  static constexpr Version<PackRows> kVersions[] = {
      {CpuLevel::kPortable, pack_rows_reference},
  };
  return kVersions;
}

std::span<const Version<Linear>> linear_versions() {
  static constexpr Version<Linear> kVersions[] = {
      {CpuLevel::kPortable, linear_reference},
  };
  return kVersions;
}

void pack_rows(Device& device, const PackRows& op) {
  HADAL_CHECK(op.out.format == row_format(op.rounding), "pack_rows: format does not fit the rounding");
  CpuDevice& cpu = as_cpu(device);
  choose_version(pack_rows_versions(), cpu.level()).run(cpu, op);
}

void linear(Device& device, const Linear& op) {
  HADAL_CHECK(op.w.cols == op.x.K && op.w.rows % op.x.groups == 0, "linear: [N, K], groups, K of x", op.w.rows,
              op.w.cols, op.x.groups, op.x.K);
  HADAL_CHECK(op.w.dtype != DType::kF4E2M1 || op.w.scale_cols == 32, "linear: FP4 scale block", op.w.scale_cols);
  CpuDevice& cpu = as_cpu(device);
  choose_version(linear_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
