// How the indexer is cut into tasks; the arithmetic is in the kernels of each instruction set.
#pragma once

#include "ops/index_select/index_select.h"
#include "ops/index_select/index_select_kernels.h"

namespace hadal::ops {

void index_select_with(const IndexSelectKernels& kernels, CpuDevice& cpu, const IndexSelect& op);

}  // namespace hadal::ops
