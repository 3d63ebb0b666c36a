#include "ops/sparse_attention/sparse_attention.h"

namespace hadal::ops {

int64_t sparse_attention_scratch_bytes(int64_t n_threads, int64_t H, int64_t D, int64_t rows_max) {
  const int64_t rows = (rows_max + 15) / 16 * 16;
  return n_threads * (rows * D + rows * H) * 4 + 4096;
}

std::span<const Version<SparseAttention>> sparse_attention_versions() {
  static constexpr Version<SparseAttention> kVersions[] = {
      {CpuLevel::kPortable, sparse_attention_reference},
  };
  return kVersions;
}

void sparse_attention(Device& device, const SparseAttention& op) {
  HADAL_CHECK(op.D % 8 == 0 && op.rope_dim <= op.D && op.scale > 0, "sparse_attention: D, rope_dim, scale", op.D,
              op.rope_dim, op.scale);
  CpuDevice& cpu = as_cpu(device);
  choose_version(sparse_attention_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
