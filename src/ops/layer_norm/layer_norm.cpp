#include "ops/layer_norm/layer_norm.h"

namespace hadal::ops {

std::span<const Version<LayerNorm>> layer_norm_versions() {
  static constexpr Version<LayerNorm> kVersions[] = {
      {CpuLevel::kPortable, layer_norm_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, layer_norm_avx2}, {CpuLevel::kAvx512, layer_norm_avx512})};
  return kVersions;
}

void layer_norm(Device& device, const LayerNorm& op) {
  HADAL_CHECK(op.C > 0 && op.C % 16 == 0 && op.eps > 0, "layer_norm: C and eps", op.C, op.eps);
  CpuDevice& cpu = as_cpu(device);
  choose_version(layer_norm_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
