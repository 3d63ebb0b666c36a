#include "device/cuda/cuda_ceilings.h"

#include <algorithm>

namespace hadal {

Result<double> measure_read_bandwidth(CudaDevice& device) {
  constexpr int64_t kBytesMax = int64_t{2} << 30;
  constexpr int kRuns = 8;
  HADAL_ASSIGN(const CudaDevice::MemoryLeft left, device.memory_left());
  const int64_t bytes = std::min(kBytesMax, left.free_bytes / 4) / 4096 * 4096;
  HADAL_ASSIGN(const Buffer memory, device.allocate(bytes));
  // Zeros would be read faster than numbers are.
  device.fill(memory.data(), 0x5A, bytes);
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    device.api().start_timer(device.context());
    device.api().read(device.context(), memory.data(), bytes);
    device.api().stop_timer(device.context());
    HADAL_TRY(device.synchronize());
    float ms = 0;
    device.api().elapsed_ms(device.context(), &ms);
    best = std::max(best, static_cast<double>(bytes) / (static_cast<double>(ms) * 1e-3));
  }
  return best;
}

}  // namespace hadal
