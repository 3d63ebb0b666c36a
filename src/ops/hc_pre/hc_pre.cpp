#include "ops/hc_pre/hc_pre.h"

#include "ops/cuda_ops.h"

namespace hadal::ops {

std::span<const Version<HcPre>> hc_pre_versions() {
  static constexpr Version<HcPre> kVersions[] = {
      {CpuLevel::kPortable, hc_pre_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, hc_pre_avx2}, {CpuLevel::kAvx512, hc_pre_avx512})};
  return kVersions;
}

void hc_pre(Device& device, const HcPre& op) {
  HADAL_CHECK(op.n >= 1 && op.n <= 8 && op.C % 8 == 0 && op.norm_eps > 0, "hc_pre: n, C, norm_eps", op.n, op.C,
              op.norm_eps);
  HADAL_CHECK((op.post == nullptr) == (op.comb == nullptr), "hc_pre: a head has neither post nor comb");
  HADAL_CHECK(op.projected != nullptr || (op.pre_in != nullptr && op.comb == nullptr), "hc_pre: nothing to read with");
  HADAL_CHECK(op.norm.x == nullptr || (op.norm.x == op.u && op.norm.T == op.T && op.norm.C == op.C &&
                                       op.norm.x_stride == op.C && op.norm.y_stride == op.C),
              "hc_pre: the norm of u", op.norm.T, op.norm.C);
  if (run_on_cuda(device, &CudaOps::hc_pre, op, op.pre_in == nullptr && op.pre_out == nullptr, "hc_pre: lagging mixes"))
    return;
  CpuDevice& cpu = as_cpu(device);
  choose_version(hc_pre_versions(), cpu.level()).run(cpu, op);
  if (op.norm.x != nullptr) rms_norm(device, op.norm);
}

}  // namespace hadal::ops
