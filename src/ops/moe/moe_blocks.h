// The mixture of experts over row blocks, for any kernel of linear_kernels.h.
#pragma once

#include "ops/linear/linear_kernels.h"
#include "ops/moe/moe.h"

namespace hadal::ops {

// h[i] = weight * swiglu(gate[i], up[i], limit), i < n.
using SwigluKernel = void (*)(const float* gate, const float* up, int64_t n, float limit, float weight, float* h);

void moe_by_blocks(CpuDevice& cpu, const Moe& op, RowBlockKernel row_block, SwigluKernel swiglu_kernel);

#if defined(__x86_64__)
void swiglu_avx2(const float* gate, const float* up, int64_t n, float limit, float weight, float* h);
void swiglu_avx512(const float* gate, const float* up, int64_t n, float limit, float weight, float* h);
#endif

}  // namespace hadal::ops
