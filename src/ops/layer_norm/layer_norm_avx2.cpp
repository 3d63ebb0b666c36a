#include "ops/layer_norm/layer_norm_kernel.h"

namespace hadal::ops {

void layer_norm_avx2(CpuDevice& cpu, const LayerNorm& op) {
  layer_norm_rows(cpu, op);
}

}  // namespace hadal::ops
