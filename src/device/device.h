// Where ops run, and the memory that they work on. The forward pass is written once against op contracts and hands a
// Device through; only ops (and the plan) ask what kind it is.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/threads.h"
#include "device/buffer.h"
#include "device/cpu/cpu_level.h"

namespace hadal {

class Device {
 public:
  enum class Kind { kCpu, kCuda };
  // What the size of scratch memory depends on: plans know it before a device is opened.
  struct Shape {
    Kind kind = Kind::kCpu;
    int n_threads = 1;  // of a CPU
  };
  virtual ~Device() = default;
  virtual Shape shape() const = 0;
  Kind kind() const { return shape().kind; }

  struct MemoryLeft {
    int64_t free_bytes = 0;
    int64_t total_bytes = 0;
  };
  // Of its own memory; zeros for a CPU, whose memory other rules govern (device/cpu/host_memory.h).
  virtual Result<MemoryLeft> memory_left() const = 0;

  // Kernels read and write memory of the host where it lies, mapped files included.
  virtual bool shares_host_memory() const = 0;
  // Memory for kernels, zeros. OutOfMemory names what was asked for.
  virtual Result<Buffer> allocate(int64_t bytes) = 0;
  // Memory of the host, zeros, whose copies to and from the device do not make the caller wait.
  virtual Result<Buffer> allocate_staging(int64_t bytes) = 0;

  // Bytes between the host and the device, on the device, and a byte repeated. They happen in the order of the calls,
  // ops included, perhaps later: memory of the host is left alone, or read, only behind synchronize().
  virtual void upload(void* to, const void* from_host, int64_t bytes) = 0;
  virtual void download(void* to_host, const void* from, int64_t bytes) = 0;
  virtual void copy(void* to, const void* from, int64_t bytes) = 0;
  virtual void fill(void* memory, uint8_t value, int64_t bytes) = 0;
  // Waits for everything, and returns what went wrong since the last call: in copies and in ops.
  virtual Result<void> synchronize() = 0;
};

// The processor: a pool of threads and the instruction sets that kernels may use.
class CpuDevice final : public Device {
 public:
  struct Options {
    int n_threads = 0;  // 0: one per available processor
    bool pin = false;
    CpuLevel level = detected_cpu_level();  // lower it to force other kernels; higher than detected is cut
  };
  explicit CpuDevice(const Options& options);

  Shape shape() const override { return {.kind = Kind::kCpu, .n_threads = pool_.size()}; }
  Result<MemoryLeft> memory_left() const override { return MemoryLeft(); }
  bool shares_host_memory() const override { return true; }
  Result<Buffer> allocate(int64_t bytes) override { return Buffer::allocate(static_cast<uint64_t>(bytes)); }
  Result<Buffer> allocate_staging(int64_t bytes) override { return allocate(bytes); }
  void upload(void* to, const void* from_host, int64_t bytes) override { copy(to, from_host, bytes); }
  void download(void* to_host, const void* from, int64_t bytes) override { copy(to_host, from, bytes); }
  void copy(void* to, const void* from, int64_t bytes) override;
  void fill(void* memory, uint8_t value, int64_t bytes) override;
  Result<void> synchronize() override { return {}; }

  ThreadPool& pool() { return pool_; }
  CpuLevel level() const { return level_; }

 private:
  ThreadPool pool_;
  CpuLevel level_;
};

// The CPU behind a device; a checked mistake of ours if it is another kind.
CpuDevice& as_cpu(Device& device);

}  // namespace hadal
