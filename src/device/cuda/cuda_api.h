// The border between Hadal and libhadal_cuda.so: plain structs and function pointers, no CUDA and no C++ library types.
//
// The library exports one symbol, kCudaApiSymbol, which returns this table. It is built from the same sources as the
// program that loads it; `version` and `build` say so, and a program refuses a library of another build.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal {

namespace ops {
struct CudaOps;  // ops/cuda_ops.h
}

// One device with its stream; lives inside the library.
struct CudaContext;
struct CudaGraphExec;

// What CUDA answered. Texts are static and live as long as the library.
struct CudaStatus {
  int code = 0;            // cudaError_t; 0: fine
  const char* name = "";   // "cudaErrorMemoryAllocation"
  const char* text = "";   // "out of memory"
  const char* where = "";  // the call or the op that met it

  bool ok() const { return code == 0; }
};

struct CudaProperties {
  char name[256] = {};            // "NVIDIA H100 80GB HBM3"
  int compute_capability = 0;     // 10 * major + minor: 80, 89, 90, 120
  int n_multiprocessors = 0;      // SMs
  int64_t memory_bytes = 0;       // of the device
  int64_t l2_bytes = 0;           //
  int64_t shared_bytes_max = 0;   // of one block, opt-in
  double memory_bytes_per_s = 0;  // by clock and bus width; 0 when the driver does not say
};

inline constexpr uint32_t kCudaApiVersion = 1;
inline constexpr const char* kCudaApiSymbol = "hadal_cuda_api";
inline constexpr int kCudaErrorOutOfMemory = 2;  // cudaErrorMemoryAllocation
inline constexpr int kCudaErrorInsufficientDriver = 35;
inline constexpr int kCudaErrorNoDevice = 100;

// Everything that takes a context runs on its stream, in the order of the calls. Copies from and to pinned memory
// return at once; the others, and synchronize, wait.
struct CudaApi {
  uint32_t version;   // kCudaApiVersion
  const char* build;  // version of the project

  CudaStatus (*count_devices)(int* n);
  CudaStatus (*properties)(int device, CudaProperties* properties);
  CudaStatus (*open)(int device, CudaContext** context);
  void (*close)(CudaContext* context);

  CudaStatus (*memory_left)(CudaContext* context, int64_t* free_bytes, int64_t* total_bytes);
  CudaStatus (*allocate)(CudaContext* context, int64_t bytes, void** memory);
  CudaStatus (*allocate_pinned)(CudaContext* context, int64_t bytes, void** memory);
  void (*free)(CudaContext* context, void* memory);
  void (*free_pinned)(CudaContext* context, void* memory);

  CudaStatus (*upload)(CudaContext* context, void* to, const void* from_host, int64_t bytes);
  CudaStatus (*download)(CudaContext* context, void* to_host, const void* from, int64_t bytes);
  CudaStatus (*copy)(CudaContext* context, void* to, const void* from, int64_t bytes);
  CudaStatus (*fill)(CudaContext* context, void* memory, uint8_t value, int64_t bytes);
  // Waits, and returns the first error of anything that ran since the last call.
  CudaStatus (*synchronize)(CudaContext* context);

  // What is enqueued between begin and end is recorded instead of run; launch runs it as often as one likes.
  CudaStatus (*begin_graph)(CudaContext* context);
  CudaStatus (*end_graph)(CudaContext* context, CudaGraphExec** graph);
  CudaStatus (*launch_graph)(CudaContext* context, CudaGraphExec* graph);
  void (*destroy_graph)(CudaContext* context, CudaGraphExec* graph);

  // A clock of the device: start_timer and stop_timer are enqueued, elapsed_ms waits for the second.
  CudaStatus (*start_timer)(CudaContext* context);
  CudaStatus (*stop_timer)(CudaContext* context);
  CudaStatus (*elapsed_ms)(CudaContext* context, float* ms);
  // Enqueues a kernel that reads `bytes` (a multiple of 16), for measuring.
  void (*read)(CudaContext* context, void* memory, int64_t bytes);

  const ops::CudaOps* ops;
};

using GetCudaApi = const CudaApi* (*)();

}  // namespace hadal
