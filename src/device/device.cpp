#include "device/device.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace hadal {

CpuDevice::CpuDevice(const Options& options)
    : pool_(options.n_threads > 0 ? options.n_threads : available_processors(), options.pin),
      level_(std::min(options.level, detected_cpu_level())) {}

void CpuDevice::copy(void* to, const void* from, int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
}

void CpuDevice::fill(void* memory, uint8_t value, int64_t bytes) {
  if (bytes > 0) std::memset(memory, value, static_cast<size_t>(bytes));
}

CpuDevice& as_cpu(Device& device) {
  HADAL_CHECK(device.kind() == Device::Kind::kCpu, "device kind", static_cast<int>(device.kind()));
  return static_cast<CpuDevice&>(device);
}

}  // namespace hadal
