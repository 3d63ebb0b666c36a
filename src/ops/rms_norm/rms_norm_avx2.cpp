#include "ops/rms_norm/rms_norm_kernel.h"

namespace hadal::ops {

void rms_norm_avx2(CpuDevice& cpu, const RmsNorm& op) {
  rms_norm_rows(cpu, op);
}

}  // namespace hadal::ops
