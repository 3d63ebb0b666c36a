#include "ops/hc_post/hc_post_kernel.h"

namespace hadal::ops {

void hc_post_avx512(CpuDevice& cpu, const HcPost& op) {
  hc_post_tokens(cpu, op);
}

}  // namespace hadal::ops
