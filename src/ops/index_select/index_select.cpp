#include "ops/index_select/index_select.h"

#include "ops/cuda_ops.h"
#include "ops/index_select/index_select_schedule.h"
#include "ops/index_select/topk_layout_cuda.h"

namespace hadal::ops {
namespace {

#if defined(__x86_64__)
void index_select_avx2(CpuDevice& cpu, const IndexSelect& op) {
  index_select_with(kIndexSelectKernelsAvx2, cpu, op);
}
void index_select_avx512(CpuDevice& cpu, const IndexSelect& op) {
  index_select_with(kIndexSelectKernelsAvx512, cpu, op);
}
#endif

}  // namespace

int64_t index_select_gpu_scratch_bytes(int64_t T, int64_t visible_max) {
  return IndexSelectGpuLayout(T, visible_max).bytes;
}

int64_t index_select_scratch_bytes(const Device::Shape& device, int64_t T, int64_t visible_max) {
  return device.kind == Device::Kind::kCpu ? 0 : index_select_gpu_scratch_bytes(T, visible_max);
}

std::span<const Version<IndexSelect>> index_select_versions() {
  static constexpr Version<IndexSelect> kVersions[] = {
      {CpuLevel::kPortable, index_select_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, index_select_avx2}, {CpuLevel::kAvx512, index_select_avx512})};
  return kVersions;
}

void index_select(Device& device, const IndexSelect& op) {
  HADAL_CHECK(op.D % (op.keys.format == KvFormat::kFp4 ? 32 : 16) == 0 && op.topk >= 1, "index_select: D and topk",
              op.D, op.topk);
  const bool is_two_level = op.best_blocks != nullptr || op.in_blocks != nullptr;
  HADAL_CHECK(!is_two_level || (op.block_size >= 1 && op.block_size <= 16 && 16 % op.block_size == 0 &&
                                op.topk_blocks * op.block_size >= op.topk),
              "index_select: blocks", op.block_size, op.topk_blocks);
  if (run_on_cuda(device, &CudaOps::index_select, op, !is_two_level, "index_select: two levels")) return;
  CpuDevice& cpu = as_cpu(device);
  choose_version(index_select_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
