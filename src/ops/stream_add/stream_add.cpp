#include "ops/stream_add/stream_add.h"

#include "ops/cuda_ops.h"
#include "ops/tasks.h"

namespace hadal::ops {

// The compiler's vectors add as fast as memory gives.
void stream_add_portable(CpuDevice& cpu, const StreamAdd& op) {
  cpu.pool().for_slices(op.T, rows_per_task(4 * (2 * op.n + 1) * op.C), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* u = op.u + t * op.C;
      for (int64_t j = 0; j < op.n; ++j) {
        float* x = op.x + (t * op.n + j) * op.C;
        for (int64_t c = 0; c < op.C; ++c) x[c] += u[c];
      }
    }
  });
}

std::span<const Version<StreamAdd>> stream_add_versions() {
  static constexpr Version<StreamAdd> kVersions[] = {{CpuLevel::kPortable, stream_add_portable}};
  return kVersions;
}

void stream_add(Device& device, const StreamAdd& op) {
  if (run_on_cuda(device, &CudaOps::stream_add, op)) return;
  CpuDevice& cpu = as_cpu(device);
  choose_version(stream_add_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
