#include "device/device_limits.h"

#include "device/cuda/cuda_ceilings.h"

namespace hadal {

DeviceLimits::DeviceLimits(Device& device, LimitProbe::Arithmetic arithmetic) {
  CudaDevice* gpu = cuda_or_null(device);
  if (gpu == nullptr) {
    cpu_.emplace(as_cpu(device), arithmetic);
  } else if (const Result<double> measured = measure_read_bandwidth(*gpu); measured.ok()) {
    gpu_.bytes_per_s = *measured;
  }
}

void DeviceLimits::pass() {
  if (cpu_) cpu_->pass();
}

LimitProbe::Limits DeviceLimits::take() {
  return cpu_ ? cpu_->take() : gpu_;
}

}  // namespace hadal
