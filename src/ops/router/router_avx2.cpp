#include "ops/router/router_kernel.h"

namespace hadal::ops {

void router_avx2(CpuDevice& cpu, const Router& op) {
  router_tokens(cpu, op);
}

}  // namespace hadal::ops
