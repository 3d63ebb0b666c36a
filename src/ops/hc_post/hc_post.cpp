#include "ops/hc_post/hc_post.h"

#include "ops/cuda_ops.h"

namespace hadal::ops {

std::span<const Version<HcPost>> hc_post_versions() {
  static constexpr Version<HcPost> kVersions[] = {
      {CpuLevel::kPortable, hc_post_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, hc_post_avx2}, {CpuLevel::kAvx512, hc_post_avx512})};
  return kVersions;
}

void hc_post(Device& device, const HcPost& op) {
  HADAL_CHECK(op.n >= 1 && op.n <= 8 && op.C % 8 == 0, "hc_post: n and C", op.n, op.C);
  if (run_on_cuda(device, &CudaOps::hc_post, op)) return;
  CpuDevice& cpu = as_cpu(device);
  choose_version(hc_post_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
