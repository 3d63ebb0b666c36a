#include "device/device.h"

#include <algorithm>

#include "base/check.h"

namespace hadal {

CpuDevice::CpuDevice(const Options& options)
    : pool_(options.n_threads > 0 ? options.n_threads : available_processors(), options.pin),
      level_(std::min(options.level, detected_cpu_level())) {}

CpuDevice& as_cpu(Device& device) {
  HADAL_CHECK(device.kind() == Device::Kind::kCpu, "device kind", static_cast<int>(device.kind()));
  return static_cast<CpuDevice&>(device);
}

}  // namespace hadal
