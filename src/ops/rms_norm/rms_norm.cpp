#include "ops/rms_norm/rms_norm.h"

#include "ops/cuda_ops.h"

namespace hadal::ops {

std::span<const Version<RmsNorm>> rms_norm_versions() {
  static constexpr Version<RmsNorm> kVersions[] = {
      {CpuLevel::kPortable, rms_norm_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, rms_norm_avx2}, {CpuLevel::kAvx512, rms_norm_avx512})};
  return kVersions;
}

void rms_norm(Device& device, const RmsNorm& op) {
  HADAL_CHECK(op.C > 0 && op.C % 8 == 0 && op.eps > 0, "rms_norm: C and eps", op.C, op.eps);
  HADAL_CHECK(op.packed.data == nullptr || (op.packed.T == op.T && op.packed.K == op.C), "rms_norm: packed rows",
              op.packed.T, op.packed.K);
  if (run_on_cuda(device, &CudaOps::rms_norm, op)) return;
  CpuDevice& cpu = as_cpu(device);
  choose_version(rms_norm_versions(), cpu.level()).run(cpu, op);
  if (op.packed.data != nullptr) pack_rows(device, packing_of(op));
}

}  // namespace hadal::ops
