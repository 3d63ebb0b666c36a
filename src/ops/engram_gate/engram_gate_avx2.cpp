#include "ops/engram_gate/engram_gate_kernel.h"

namespace hadal::ops {

void engram_gate_avx2(CpuDevice& cpu, const EngramGate& op) {
  engram_gate_tokens(cpu, op);
}

}  // namespace hadal::ops
