#include "ops/sparse_attention/sparse_attention.h"

#include <algorithm>

#include "ops/cuda_ops.h"
#include "ops/sparse_attention/sparse_attention_kernels.h"
#include "ops/sparse_attention/sparse_attention_layout_cuda.h"

namespace hadal::ops {
namespace {

#if defined(__x86_64__)
void sparse_attention_avx2(CpuDevice& cpu, const SparseAttention& op) {
  sparse_attention_with(kSparseAttentionKernelsAvx2, cpu, op);
}
void sparse_attention_avx512(CpuDevice& cpu, const SparseAttention& op) {
  sparse_attention_with(kSparseAttentionKernelsAvx512, cpu, op);
}
#endif

}  // namespace

int64_t sparse_attention_gpu_scratch_bytes(int64_t T, int64_t H, int64_t D, int64_t rows_max) {
  if (T > kAttentionSplitTokensMax) return 0;
  return T * H * attention_n_splits(rows_max) * attention_part_floats(D) * 4;
}

int64_t sparse_attention_scratch_bytes(const Device::Shape& device, int64_t T, int64_t H, int64_t D, int64_t rows_max) {
  if (device.kind == Device::Kind::kCpu) return sparse_attention_scratch_bytes(device.n_threads, H, D, rows_max);
  return sparse_attention_gpu_scratch_bytes(std::min(T, kAttentionSplitTokensMax), H, D, rows_max);
}

std::span<const Version<SparseAttention>> sparse_attention_versions() {
  static constexpr Version<SparseAttention> kVersions[] = {
      {CpuLevel::kPortable, sparse_attention_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, sparse_attention_avx2}, {CpuLevel::kAvx512, sparse_attention_avx512})};
  return kVersions;
}

void sparse_attention(Device& device, const SparseAttention& op) {
  sparse_attention(device, std::span(&op, 1));
}

void sparse_attention(Device& device, std::span<const SparseAttention> ops) {
  bool is_supported = true;
  for (const SparseAttention& op : ops) {
    HADAL_CHECK(op.D % 16 == 0 && op.rope_dim <= op.D && op.scale > 0, "sparse_attention: D, rope_dim, scale", op.D,
                op.rope_dim, op.scale);
    HADAL_CHECK(op.value_dim % 16 == 0 && op.value_dim > 0 && op.value_dim <= op.D, "sparse_attention: value_dim, D",
                op.value_dim, op.D);
    is_supported &= op.value_dim == op.D && op.sink != nullptr;
    const SparseAttention& first = ops.front();
    HADAL_CHECK(op.H == first.H && op.D == first.D && op.rope_dim == first.rope_dim && op.format == first.format &&
                    op.window_row_bytes == first.window_row_bytes && op.scratch == first.scratch,
                "sparse_attention: a list", op.H, op.D);
  }
  if (run_all_on_cuda(device, &CudaOps::sparse_attention, ops, is_supported, "sparse_attention: latents")) return;
  CpuDevice& cpu = as_cpu(device);
  const auto run = choose_version(sparse_attention_versions(), cpu.level()).run;
  for (const SparseAttention& op : ops) run(cpu, op);
}

}  // namespace hadal::ops
