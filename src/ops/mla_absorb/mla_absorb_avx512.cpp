#include "ops/mla_absorb/mla_absorb_kernel.h"

namespace hadal::ops {

void mla_absorb_avx512(CpuDevice& cpu, const MlaAbsorb& op) {
  absorb_by_tiles(cpu, op);
}

}  // namespace hadal::ops
