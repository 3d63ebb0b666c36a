#include "ops/rope/rope_kernel.h"

namespace hadal::ops {

void rope_avx2(CpuDevice& cpu, const Rope& op) {
  rope_tokens(cpu, op);
}

}  // namespace hadal::ops
