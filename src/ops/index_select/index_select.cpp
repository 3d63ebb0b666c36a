#include "ops/index_select/index_select.h"

namespace hadal::ops {

std::span<const Version<IndexSelect>> index_select_versions() {
  static constexpr Version<IndexSelect> kVersions[] = {
      {CpuLevel::kPortable, index_select_reference},
  };
  return kVersions;
}

void index_select(Device& device, const IndexSelect& op) {
  HADAL_CHECK(op.D % 8 == 0 && op.topk >= 1, "index_select: D and topk", op.D, op.topk);
  CpuDevice& cpu = as_cpu(device);
  choose_version(index_select_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
