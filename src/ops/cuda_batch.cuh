// One launch for a list of ops (ops/batch.h). Their structs travel as the kernel's parameter, so nothing has to be
// copied to the GPU before, and a list costs what one op costs.
//
// A kernel numbers its items (tokens, rows, groups: whatever a block computes) through all ops of its launch, ops of
// different sizes one behind the other, so that no block is without work.
#pragma once

#include <algorithm>
#include <span>

#include "ops/cuda_launch.cuh"

namespace hadal::ops {

// kOps is 1 or the power of two above the number of ops.
template <class Op, int kOps>
struct OpBatch {
  Op ops[kOps];
  int first[kOps + 1];  // item with which each op begins; the number of items behind the last op

  // The op of an item; ops without items are passed over.
  __device__ int op_of(int item) const {
    int op = 0;
#pragma unroll
    for (int step = kOps / 2; step > 0; step /= 2) {
      if (first[op + step] <= item) op += step;
    }
    return op;
  }
  int n_items() const {
    return first[kOps];
  }
};

inline constexpr int kFewOps = 8;
inline constexpr int kManyOps = 64;
inline constexpr size_t kParameterBytesMax = 32764;  // since CUDA 12.1, compute capability 7.0

template <int kOps, class Op, class Items, class Launch>
void launch_batch(std::span<const Op> ops, const Items& items, const Launch& launch) {
  static_assert(sizeof(OpBatch<Op, kOps>) + 256 <= kParameterBytesMax);
  OpBatch<Op, kOps> batch;
  int n = 0;
  for (size_t i = 0; i < kOps; ++i) {
    batch.first[i] = n;
    if (i >= ops.size()) continue;
    batch.ops[i] = ops[i];
    n += static_cast<int>(items(ops[i]));
  }
  batch.first[kOps] = n;
  if (n > 0) launch(batch);
}

// launch(batch) for the ops, so many of one launch at a time; those without items alone are left out. items(op): how
// many blocks along the axis of items.
template <class Op, class Items, class Launch>
void for_batches(std::span<const Op> ops, const Items& items, const Launch& launch) {
  while (!ops.empty()) {
    const std::span<const Op> part = ops.first(std::min<size_t>(ops.size(), kManyOps));
    ops = ops.subspan(part.size());
    if (part.size() == 1) {
      launch_batch<1>(part, items, launch);
    } else if (part.size() <= kFewOps) {
      launch_batch<kFewOps>(part, items, launch);
    } else {
      launch_batch<kManyOps>(part, items, launch);
    }
  }
}

}  // namespace hadal::ops
