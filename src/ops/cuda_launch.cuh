// How ops launch: a kernel's blocks may be scheduled while the kernel before it drains, so that its beginning is paid
// beside that one's end (programmatic dependent launch; compute capability 9.0 and newer, a plain launch elsewhere).
//
// In return every thread of every kernel calls wait_for_previous() before it touches memory that a kernel writes, even
// where it has nothing else to do. A kernel that has waited for its predecessor has waited for all before it, because
// that one waited too; and since it lets its successor begin only then, all but one of a kernel's predecessors have
// ended when it begins. So what stands before the call may read weights, and, past L1 (__ldcg), what a kernel before
// the previous one wrote.
#pragma once

#include <utility>

#include "device/cuda/cuda_context.cuh"

namespace hadal::ops {

__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Enqueues kernel(arguments...) with so many blocks, threads of a block and bytes of dynamic shared memory.
template <class... Parameters, class... Arguments>
void enqueue(CudaContext& context, dim3 blocks, int threads, size_t shared_bytes, void (*kernel)(Parameters...),
             Arguments&&... arguments) {
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = blocks;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = context.stream;
  config.attrs = &overlap;
  config.numAttrs = context.compute_capability >= 90 ? 1 : 0;
  // A refusal stays with the runtime until check_launch() asks.
  cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}

}  // namespace hadal::ops
