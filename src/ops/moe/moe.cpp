#include "ops/moe/moe.h"

namespace hadal::ops {

int64_t moe_scratch_bytes(int64_t T, int64_t K, int64_t I) {
  // h of every (token, expert) pair, shared included, as floats and packed; and the grouping of pairs by expert.
  const int64_t pairs = T * (K + 1);
  return pairs * I * 4 + packed_rows_bytes(pairs, 1, I, RowFormat::kF32) + pairs * 8 + 4096;
}

std::span<const Version<Moe>> moe_versions() {
  static constexpr Version<Moe> kVersions[] = {
      {CpuLevel::kPortable, moe_reference},
  };
  return kVersions;
}

void moe(Device& device, const Moe& op) {
  HADAL_CHECK(op.x.K == op.C && op.x.groups == 1 && op.x.T == op.T, "moe: x", op.x.K, op.C, op.x.T, op.T);
  CpuDevice& cpu = as_cpu(device);
  choose_version(moe_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
