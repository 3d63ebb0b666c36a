// What a GPU's memory can do, measured: the limits that benchmarks and `doctor` compare with.
#pragma once

#include "device/cuda/cuda_device.h"

namespace hadal {

// Bytes per second that a kernel reads from the GPU's memory, best of some runs over 2 GiB (or a quarter of what is
// free, if that is less): far more than any cache holds. Takes some milliseconds.
Result<double> measure_read_bandwidth(CudaDevice& device);

}  // namespace hadal
