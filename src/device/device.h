// Where ops run. The forward pass is written once against op contracts and hands a Device through; only ops (and the
// plan) ask what kind it is.
#pragma once

#include <string>
#include <string_view>

#include "base/threads.h"
#include "device/cpu/cpu_level.h"

namespace hadal {

class Device {
 public:
  enum class Kind { kCpu, kCuda };
  virtual ~Device() = default;
  virtual Kind kind() const = 0;
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

  Kind kind() const override { return Kind::kCpu; }
  ThreadPool& pool() { return pool_; }
  CpuLevel level() const { return level_; }

 private:
  ThreadPool pool_;
  CpuLevel level_;
};

// The CPU behind a device; a checked mistake of ours if it is another kind.
CpuDevice& as_cpu(Device& device);

}  // namespace hadal
