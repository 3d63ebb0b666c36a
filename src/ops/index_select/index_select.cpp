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
  index_select(device, std::span(&op, 1));
}

void index_select(Device& device, std::span<const IndexSelect> ops) {
  bool is_two_level = false;
  for (const IndexSelect& op : ops) {
    HADAL_CHECK(op.D % (op.keys.format == KvFormat::kFp4 ? 32 : 16) == 0 && op.topk >= 1, "index_select: D and topk",
                op.D, op.topk);
    const bool has_blocks = op.best_blocks != nullptr || op.in_blocks != nullptr;
    HADAL_CHECK(!has_blocks || (op.block_size >= 1 && op.block_size <= 16 && 16 % op.block_size == 0 &&
                                op.topk_blocks * op.block_size >= op.topk),
                "index_select: blocks", op.block_size, op.topk_blocks);
    is_two_level |= has_blocks;
    const IndexSelect& first = ops.front();
    HADAL_CHECK(op.H == first.H && op.D == first.D && op.topk == first.topk && op.scratch == first.scratch &&
                    op.keys.format == first.keys.format && (op.scores == nullptr) == (first.scores == nullptr),
                "index_select: a list", op.H, op.D, op.topk);
  }
  if (run_all_on_cuda(device, &CudaOps::index_select, ops, !is_two_level, "index_select: two levels")) return;
  CpuDevice& cpu = as_cpu(device);
  const auto run = choose_version(index_select_versions(), cpu.level()).run;
  for (const IndexSelect& op : ops) run(cpu, op);
}

}  // namespace hadal::ops
