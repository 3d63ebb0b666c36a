#include "ops/mla_absorb/mla_absorb.h"

namespace hadal::ops {

std::span<const Version<MlaAbsorb>> mla_absorb_versions() {
  static constexpr Version<MlaAbsorb> kVersions[] = {
      {CpuLevel::kPortable, mla_absorb_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, mla_absorb_avx2}, {CpuLevel::kAvx512, mla_absorb_avx512})};
  return kVersions;
}

void mla_absorb(Device& device, const MlaAbsorb& op) {
  HADAL_CHECK(op.wkv_b.rows == op.H * (op.nope_dim + op.value_dim) && op.wkv_b.cols == op.latent_dim,
              "mla_absorb: wkv_b, heads and widths", op.wkv_b.rows, op.wkv_b.cols, op.H, op.nope_dim, op.value_dim,
              op.latent_dim);
  HADAL_CHECK(op.latent_dim % 16 == 0, "mla_absorb: latent_dim", op.latent_dim);
  CpuDevice& cpu = as_cpu(device);
  choose_version(mla_absorb_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
