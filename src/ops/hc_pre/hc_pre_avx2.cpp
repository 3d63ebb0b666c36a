#include "ops/hc_pre/hc_pre_kernel.h"

namespace hadal::ops {

void hc_pre_avx2(CpuDevice& cpu, const HcPre& op) {
  hc_pre_tokens(cpu, op);
}

}  // namespace hadal::ops
