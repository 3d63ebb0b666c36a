// What a device can do at best, for a benchmark to be compared with.
#pragma once

#include <optional>

#include "device/cpu/ceilings.h"
#include "device/device.h"

namespace hadal {

// On a CPU LimitProbe, between the steps of what is measured; on a GPU, whose memory is as fast now as later, the
// bandwidth once and no arithmetic (0: not measured). The device must outlive it.
class DeviceLimits {
 public:
  DeviceLimits(Device& device, LimitProbe::Arithmetic arithmetic);

  void pass();
  LimitProbe::Limits take();
  uint64_t resident_bytes() const { return cpu_ ? cpu_->resident_bytes() : 0; }

 private:
  std::optional<LimitProbe> cpu_;
  LimitProbe::Limits gpu_;
};

}  // namespace hadal
