#include "ops/compress/compress.h"

#include "ops/cuda_ops.h"

namespace hadal::ops {

std::span<const Version<Compress>> compress_versions() {
  static constexpr Version<Compress> kVersions[] = {
      {CpuLevel::kPortable, compress_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, compress_avx2}, {CpuLevel::kAvx512, compress_avx512})};
  return kVersions;
}

void compress(Device& device, const Compress& op) {
  compress(device, std::span(&op, 1));
}

void compress(Device& device, std::span<const Compress> ops) {
  for (const Compress& op : ops) {
    HADAL_CHECK(op.m >= 1 && op.d % 16 == 0 && (op.coff == 1 || op.coff == 2), "compress: m, d, coff", op.m, op.d,
                op.coff);
    HADAL_CHECK(!op.has_previous || op.coff == 2, "compress: a previous group without overlap");
    HADAL_CHECK(op.m == ops.front().m && op.d == ops.front().d && op.coff == ops.front().coff, "compress: a list", op.m,
                op.d, op.coff);
  }
  if (run_all_on_cuda(device, &CudaOps::compress, ops)) return;
  CpuDevice& cpu = as_cpu(device);
  const auto run = choose_version(compress_versions(), cpu.level()).run;
  for (const Compress& op : ops) run(cpu, op);
}

}  // namespace hadal::ops
