#include "device/cuda/cuda_runtime.cuh"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "device/cuda/cuda_context.cuh"

namespace hadal {

// A recorded step, ready to run.
struct CudaGraphExec {
  cudaGraphExec_t exec = nullptr;
};

namespace {

CudaStatus status_of(cudaError_t error, const char* where) {
  if (error == cudaSuccess) return {};
  // The runtime keeps the error for whoever asks next; it has been reported.
  static_cast<void>(cudaGetLastError());
  return {.code = error, .name = cudaGetErrorName(error), .text = cudaGetErrorString(error), .where = where};
}

CudaStatus count_devices(int* n) {
  *n = 0;
  return status_of(cudaGetDeviceCount(n), "");
}

double bytes_per_s(int device) {
  int clock_khz = 0;
  int bus_bits = 0;
  if (cudaDeviceGetAttribute(&clock_khz, cudaDevAttrMemoryClockRate, device) != cudaSuccess ||
      cudaDeviceGetAttribute(&bus_bits, cudaDevAttrGlobalMemoryBusWidth, device) != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    return 0;
  }
  return 2.0 * clock_khz * 1e3 * bus_bits / 8;  // two transfers a clock
}

CudaStatus properties(int device, CudaProperties* out) {
  cudaDeviceProp of{};
  if (const cudaError_t error = cudaGetDeviceProperties(&of, device); error != cudaSuccess) {
    return status_of(error, "cudaGetDeviceProperties");
  }
  static_assert(sizeof(out->name) == sizeof(of.name));
  std::memcpy(out->name, of.name, sizeof(of.name));
  out->compute_capability = 10 * of.major + of.minor;
  out->n_multiprocessors = of.multiProcessorCount;
  out->memory_bytes = static_cast<int64_t>(of.totalGlobalMem);
  out->l2_bytes = of.l2CacheSize;
  out->shared_bytes_max = static_cast<int64_t>(of.sharedMemPerBlockOptin);
  out->memory_bytes_per_s = bytes_per_s(device);
  return {};
}

void close(CudaContext* context) {
  if (context->timer_begin != nullptr) cudaEventDestroy(context->timer_begin);
  if (context->timer_end != nullptr) cudaEventDestroy(context->timer_end);
  if (context->stream != nullptr) cudaStreamDestroy(context->stream);
  std::default_delete<CudaContext>()(context);
}

CudaStatus open(int device, CudaContext** out) {
  auto context = std::make_unique<CudaContext>();
  context->device = device;
  CudaProperties of;
  if (const CudaStatus status = properties(device, &of); !status.ok()) return status;
  context->n_multiprocessors = of.n_multiprocessors;
  context->compute_capability = of.compute_capability;
  context->shared_bytes_max = of.shared_bytes_max;
  cudaError_t error = cudaSetDevice(device);
  if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&context->stream, cudaStreamNonBlocking);
  if (error == cudaSuccess) error = cudaEventCreate(&context->timer_begin);
  if (error == cudaSuccess) error = cudaEventCreate(&context->timer_end);
  *out = context.release();
  if (error == cudaSuccess) return {};
  close(*out);
  *out = nullptr;
  return status_of(error, "opening the device");
}

CudaStatus memory_left(CudaContext*, int64_t* free_bytes, int64_t* total_bytes) {
  size_t free = 0;
  size_t total = 0;
  const cudaError_t error = cudaMemGetInfo(&free, &total);
  *free_bytes = static_cast<int64_t>(free);
  *total_bytes = static_cast<int64_t>(total);
  return status_of(error, "cudaMemGetInfo");
}

CudaStatus allocate(CudaContext*, int64_t bytes, void** memory) {
  return status_of(cudaMalloc(memory, static_cast<size_t>(bytes)), "cudaMalloc");
}
CudaStatus allocate_pinned(CudaContext*, int64_t bytes, void** memory) {
  return status_of(cudaHostAlloc(memory, static_cast<size_t>(bytes), cudaHostAllocDefault), "cudaHostAlloc");
}
void free_memory(CudaContext*, void* memory) {
  cudaFree(memory);
}
void free_pinned(CudaContext*, void* memory) {
  cudaFreeHost(memory);
}

CudaStatus copy_kind(CudaContext* context, void* to, const void* from, int64_t bytes, cudaMemcpyKind kind) {
  return status_of(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, context->stream), "cudaMemcpyAsync");
}
CudaStatus upload(CudaContext* context, void* to, const void* from, int64_t bytes) {
  return copy_kind(context, to, from, bytes, cudaMemcpyHostToDevice);
}
CudaStatus download(CudaContext* context, void* to, const void* from, int64_t bytes) {
  return copy_kind(context, to, from, bytes, cudaMemcpyDeviceToHost);
}
CudaStatus copy(CudaContext* context, void* to, const void* from, int64_t bytes) {
  return copy_kind(context, to, from, bytes, cudaMemcpyDeviceToDevice);
}
CudaStatus fill(CudaContext* context, void* memory, uint8_t value, int64_t bytes) {
  return status_of(cudaMemsetAsync(memory, value, static_cast<size_t>(bytes), context->stream), "cudaMemsetAsync");
}

CudaStatus synchronize(CudaContext* context) {
  const cudaError_t error = cudaStreamSynchronize(context->stream);
  const cudaError_t launch = context->error;
  context->error = cudaSuccess;
  if (launch != cudaSuccess) return status_of(launch, context->error_where);
  return status_of(error, "");
}

CudaStatus begin_graph(CudaContext* context) {
  return status_of(cudaStreamBeginCapture(context->stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
}

CudaStatus end_graph(CudaContext* context, CudaGraphExec** out) {
  cudaGraph_t graph = nullptr;
  if (const cudaError_t error = cudaStreamEndCapture(context->stream, &graph); error != cudaSuccess) {
    return status_of(error, "cudaStreamEndCapture");
  }
  auto exec = std::make_unique<CudaGraphExec>();
  const cudaError_t error = cudaGraphInstantiate(&exec->exec, graph, 0);
  cudaGraphDestroy(graph);
  if (error == cudaSuccess) *out = exec.release();
  return status_of(error, "cudaGraphInstantiate");
}

CudaStatus launch_graph(CudaContext* context, CudaGraphExec* graph) {
  return status_of(cudaGraphLaunch(graph->exec, context->stream), "cudaGraphLaunch");
}

void destroy_graph(CudaContext*, CudaGraphExec* graph) {
  cudaGraphExecDestroy(graph->exec);
  std::default_delete<CudaGraphExec>()(graph);
}

CudaStatus start_timer(CudaContext* context) {
  return status_of(cudaEventRecord(context->timer_begin, context->stream), "cudaEventRecord");
}
CudaStatus stop_timer(CudaContext* context) {
  return status_of(cudaEventRecord(context->timer_end, context->stream), "cudaEventRecord");
}
CudaStatus elapsed_ms(CudaContext* context, float* ms) {
  cudaError_t error = cudaEventSynchronize(context->timer_end);
  if (error == cudaSuccess) error = cudaEventElapsedTime(ms, context->timer_begin, context->timer_end);
  return status_of(error, "cudaEventElapsedTime");
}

}  // namespace

CudaApi cuda_runtime_api() {
  return {.version = kCudaApiVersion,
          .build = HADAL_BUILD,
          .count_devices = count_devices,
          .properties = properties,
          .open = open,
          .close = close,
          .memory_left = memory_left,
          .allocate = allocate,
          .allocate_pinned = allocate_pinned,
          .free = free_memory,
          .free_pinned = free_pinned,
          .upload = upload,
          .download = download,
          .copy = copy,
          .fill = fill,
          .synchronize = synchronize,
          .begin_graph = begin_graph,
          .end_graph = end_graph,
          .launch_graph = launch_graph,
          .destroy_graph = destroy_graph,
          .start_timer = start_timer,
          .stop_timer = stop_timer,
          .elapsed_ms = elapsed_ms,
          .read = read_memory,
          .ops = nullptr};
}

}  // namespace hadal
