// What an op needs of its device inside libhadal_cuda.so: the stream, and where to leave an error.
#pragma once

#include <cuda_runtime.h>

#include "device/cuda/cuda_api.h"

namespace hadal {

struct CudaContext {
  int device = 0;
  int n_multiprocessors = 0;
  int compute_capability = 0;
  int64_t shared_bytes_max = 0;  // of one block, opt-in
  cudaStream_t stream = nullptr;
  cudaEvent_t timer_begin = nullptr;
  cudaEvent_t timer_end = nullptr;
  // The first launch that was refused, until synchronize() reports it.
  cudaError_t error = cudaSuccess;
  const char* error_where = "";

  // To be called after every launch: asynchronous errors show at synchronize(), refused launches only here.
  void check_launch(const char* op) {
    const cudaError_t launch = cudaGetLastError();
    if (launch == cudaSuccess || error != cudaSuccess) return;
    error = launch;
    error_where = op;
  }
};

}  // namespace hadal
