#include "ops/moe/moe.h"

#include <algorithm>

#include "ops/cuda_ops.h"
#include "ops/moe/moe_blocks.h"
#include "ops/moe/moe_layout_cuda.h"

namespace hadal::ops {

int64_t moe_scratch_bytes(int64_t T, int64_t K, int64_t I) {
  // h of every (token, expert) pair, shared included, as floats and packed.
  const int64_t pairs = T * (K + 1);
  const int64_t packed =
      std::max(packed_rows_bytes(pairs, 1, I, RowFormat::kF32), packed_rows_bytes(pairs, 1, I, RowFormat::kInt8Lanes));
  return pairs * I * 4 + packed + 64;
}

int64_t moe_gpu_scratch_bytes(int64_t T, int64_t E, int64_t K, int64_t C, int64_t I) {
  return MoeGpuLayout(T, E, K, C, I).bytes;
}

int64_t moe_scratch_bytes(const Device::Shape& device, int64_t T, int64_t E, int64_t K, int64_t C, int64_t I) {
  return device.kind == Device::Kind::kCpu ? moe_scratch_bytes(T, K, I) : moe_gpu_scratch_bytes(T, E, K, C, I);
}

std::span<const Version<Moe>> moe_versions() {
  static constexpr Version<Moe> kVersions[] = {
      {CpuLevel::kPortable, moe_reference},
      HADAL_X86_VERSIONS(
          {CpuLevel::kAvx2, [](CpuDevice& cpu, const Moe& op) { moe_by_blocks(cpu, op, row_block_avx2, swiglu_avx2); }},
          {CpuLevel::kAvx512,
           [](CpuDevice& cpu, const Moe& op) { moe_by_blocks(cpu, op, row_block_avx512, swiglu_avx512); }}, )};
  return kVersions;
}

void moe(Device& device, const Moe& op) {
  HADAL_CHECK(op.x.K == op.C && op.x.groups == 1 && op.x.T == op.T, "moe: x", op.x.K, op.C, op.x.T, op.T);
  HADAL_CHECK(op.shared == nullptr || (op.shared_x.K == op.C && op.shared_x.groups == 1 && op.shared_x.T == op.T),
              "moe: shared_x", op.shared_x.K, op.C, op.shared_x.T, op.T);
  if (run_on_cuda(device, &CudaOps::moe, op,
                  op.x.format != RowFormat::kInt8 && op.x.format != RowFormat::kInt8Lanes &&
                      (op.shared == nullptr ||
                       (op.shared_x.data == op.x.data && op.hidden_rounding == op.shared_hidden_rounding)),
                  "moe: 8-bit rows, two packings"))
    return;
  CpuDevice& cpu = as_cpu(device);
  choose_version(moe_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
