#include "device/open_device.h"

#include <fmt/format.h>

#include <charconv>

#include "device/cuda/cuda_device.h"

namespace hadal {

std::optional<DeviceChoice> parse_device(std::string_view name) {
  constexpr std::string_view kCuda = "cuda";
  if (name == "cpu") return DeviceChoice();
  if (!name.starts_with(kCuda)) return std::nullopt;
  DeviceChoice choice{.kind = Device::Kind::kCuda};
  name.remove_prefix(kCuda.size());
  if (name.empty()) return choice;
  const char* const end = name.data() + name.size();
  if (name.front() != ':' || name.size() < 2 || name[1] == '-') return std::nullopt;
  const auto [rest, error] = std::from_chars(name.data() + 1, end, choice.index);
  if (error != std::errc() || rest != end) return std::nullopt;
  return choice;
}

std::string device_name(const DeviceChoice& choice) {
  if (choice.kind == Device::Kind::kCpu) return "cpu";
  return choice.index == 0 ? "cuda" : fmt::format("cuda:{}", choice.index);
}

Result<std::unique_ptr<Device>> open_device(const DeviceChoice& choice, const CpuDevice::Options& cpu) {
  if (choice.kind == Device::Kind::kCpu) return std::unique_ptr<Device>(std::make_unique<CpuDevice>(cpu));
  HADAL_ASSIGN(std::unique_ptr<CudaDevice> gpu, CudaDevice::open({.library = "", .index = choice.index}));
  return std::unique_ptr<Device>(std::move(gpu));
}

}  // namespace hadal
