#include "ops/simd_probe_kernel.h"

namespace hadal::ops {

SimdProbe simd_probe_avx2() {
  return simd_probe(CpuLevel::kAvx2);
}

}  // namespace hadal::ops
