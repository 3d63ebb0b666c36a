#include "ops/simd_probe_kernel.h"

namespace hadal::ops {

SimdProbe simd_probe_avx512() {
  return simd_probe(CpuLevel::kAvx512);
}

}  // namespace hadal::ops
