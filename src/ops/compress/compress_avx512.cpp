#include "ops/compress/compress_kernel.h"

namespace hadal::ops {

void compress_avx512(CpuDevice& cpu, const Compress& op) {
  compress_groups(cpu, op);
}

}  // namespace hadal::ops
