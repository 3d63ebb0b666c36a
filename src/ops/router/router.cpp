#include "ops/router/router.h"

#include <algorithm>
#include <cmath>

#include "ops/cuda_ops.h"

namespace hadal::ops {
namespace {

void note_not_finite(const Router& op) {
  for (int64_t i = 0; i < op.T * op.E; ++i) {
    if (std::isfinite(op.logits[i])) continue;
    *op.not_finite = std::min(*op.not_finite, op.place + i);
    return;
  }
}

}  // namespace

std::span<const Version<Router>> router_versions() {
  static constexpr Version<Router> kVersions[] = {
      {CpuLevel::kPortable, router_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, router_avx2}, {CpuLevel::kAvx512, router_avx512})};
  return kVersions;
}

void router(Device& device, const Router& op) {
  HADAL_CHECK(op.K >= 1 && op.K <= op.E && op.E <= 4096 && op.K <= 64, "router: E and K", op.E, op.K);
  HADAL_CHECK((op.tid2eid == nullptr) || op.token_ids != nullptr, "router: hash routing needs token ids");
  HADAL_CHECK(op.E % op.n_groups == 0 && op.n_limited_groups <= op.n_groups &&
                  op.K <= op.n_limited_groups * (op.E / op.n_groups),
              "router: groups", op.E, op.n_groups, op.n_limited_groups, op.K);
  if (run_on_cuda(device, &CudaOps::router, op, op.n_groups == 1, "router: groups of experts")) return;
  if (op.not_finite != nullptr) note_not_finite(op);
  CpuDevice& cpu = as_cpu(device);
  choose_version(router_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
