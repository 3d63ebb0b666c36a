// Which device a user asks for, and opening it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "device/device.h"

namespace hadal {

struct DeviceChoice {
  Device::Kind kind = Device::Kind::kCpu;
  int index = 0;  // of a GPU, among those that the driver shows
};

// "cpu", "cuda" (the first GPU), "cuda:1"; nothing for other names.
std::optional<DeviceChoice> parse_device(std::string_view name);
std::string device_name(const DeviceChoice& choice);

// Errors of CudaDevice::open for a GPU. `cpu` is for a CPU.
Result<std::unique_ptr<Device>> open_device(const DeviceChoice& choice, const CpuDevice::Options& cpu);

}  // namespace hadal
