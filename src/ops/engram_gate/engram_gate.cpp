#include "ops/engram_gate/engram_gate.h"

namespace hadal::ops {

std::span<const Version<EngramGate>> engram_gate_versions() {
  static constexpr Version<EngramGate> kVersions[] = {
      {CpuLevel::kPortable, engram_gate_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, engram_gate_avx2}, {CpuLevel::kAvx512, engram_gate_avx512})};
  return kVersions;
}

// On a GPU it is refused before a model is loaded (plan/device_support.h).
void engram_gate(Device& device, const EngramGate& op) {
  HADAL_CHECK(op.n >= 1 && op.C % 8 == 0 && op.eps > 0, "engram_gate: n, C, eps", op.n, op.C, op.eps);
  CpuDevice& cpu = as_cpu(device);
  choose_version(engram_gate_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
