// An NVIDIA GPU: memory, copies, one stream, graphs. Ops take it as any Device (ops/cuda_ops.h).
//
// The CUDA part of Hadal is a library of its own, libhadal_cuda.so, loaded when a GPU is asked for: a program built
// without CUDA's toolkit can use it, and a machine without a driver runs everything else.
//
// Calls enqueue work on the device's stream and return. One thread owns a CudaDevice, which outlives its memory and
// graphs.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "device/cuda/cuda_api.h"
#include "device/device.h"

namespace hadal {

// The library, opened once for a process.
class CudaLibrary {
 public:
  // path empty: beside the running program, then in ../lib/hadal and ../lib seen from there.
  // NotFound names the places that were searched; Unsupported: a library of another build.
  static Result<CudaLibrary> load(const std::string& path = "");

  const CudaApi& api() const { return *api_; }

 private:
  const CudaApi* api_ = nullptr;  // the library stays loaded until the process ends
};

class CudaDevice final : public Device {
 public:
  struct Options {
    std::string library;  // empty: as CudaLibrary::load
    int index = 0;        // among the GPUs that the driver shows
  };

  // NotFound: no library, no driver, no GPU of that index. Unsupported: a GPU older than Ampere, an old driver.
  static Result<std::unique_ptr<CudaDevice>> open(const Options& options);

  // What open() has found; CudaDevice owns the context.
  struct Opened {
    const CudaApi& api;
    CudaContext* context;
    CudaProperties properties;
  };
  explicit CudaDevice(const Opened& opened)
      : api_(opened.api), context_(opened.context), properties_(opened.properties) {}
  ~CudaDevice() override;

  Shape shape() const override { return {.kind = Kind::kCuda}; }
  const CudaProperties& properties() const { return properties_; }
  const CudaApi& api() const { return api_; }
  CudaContext* context() const { return context_; }

  Result<MemoryLeft> memory_left() const override;
  bool shares_host_memory() const override { return false; }
  // Aligned to 256 bytes. OutOfMemory names what was asked for and what is free.
  Result<Buffer> allocate(int64_t bytes) override;
  // Pinned. A copy from or to other memory of the host waits for the stream first.
  Result<Buffer> allocate_staging(int64_t bytes) override;
  void upload(void* to, const void* from_host, int64_t bytes) override;
  void download(void* to_host, const void* from, int64_t bytes) override;
  void copy(void* to, const void* from, int64_t bytes) override;
  void fill(void* memory, uint8_t value, int64_t bytes) override;
  // An error of an op (a fault, a lost GPU, an uncorrectable memory error) shows here, with the op's name when its
  // launch was refused; the device is of no use after a fault.
  Result<void> synchronize() override;

 private:
  Result<void> result_of(const CudaStatus& status, const char* what) const;
  Error no_memory(int64_t bytes, const CudaStatus& status, const char* what, const char* hint) const;
  // What failed where nobody could be told: kept for synchronize().
  void note(const CudaStatus& status, const char* what);

  const CudaApi& api_;
  CudaContext* context_;
  CudaProperties properties_;
  Result<void> noted_;
};

// The GPU behind a device; null when it is another kind.
CudaDevice* cuda_or_null(Device& device);

// A recorded sequence of ops. Pointers and sizes are those of the recording; what they point to may change.
class CudaGraph {
 public:
  // Records what `enqueue` enqueues; nothing runs. Inside, memory is neither allocated nor waited for.
  template <class Enqueue>
  static Result<CudaGraph> record(CudaDevice& device, const Enqueue& enqueue) {
    HADAL_TRY(begin(device));
    enqueue();
    return end(device);
  }

  CudaGraph() = default;
  ~CudaGraph();
  CudaGraph(CudaGraph&& other) noexcept { *this = std::move(other); }
  CudaGraph& operator=(CudaGraph&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(exec_, other.exec_);
    return *this;
  }

  Result<void> launch();

 private:
  static Result<void> begin(CudaDevice& device);
  static Result<CudaGraph> end(CudaDevice& device);

  CudaDevice* device_ = nullptr;
  CudaGraphExec* exec_ = nullptr;
};

}  // namespace hadal
