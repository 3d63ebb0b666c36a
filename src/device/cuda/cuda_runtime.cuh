// The device part of the table that libhadal_cuda.so exports (device/cuda/cuda_api.h): memory, copies, graphs, timers.
#pragma once

#include "device/cuda/cuda_api.h"

namespace hadal {

// cuda_read.cu
void read_memory(CudaContext* context, void* memory, int64_t bytes);

// Everything but `ops`.
CudaApi cuda_runtime_api();

}  // namespace hadal
