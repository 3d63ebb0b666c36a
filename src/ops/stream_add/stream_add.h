// A row of a token added to each of its streams.
//
//   X[t, j, c] += u[t, c],  j < n
#pragma once

#include "device/device.h"
#include "ops/versions.h"

namespace hadal::ops {

struct StreamAdd {
  float* x = nullptr;        // [T, n, C] in place
  const float* u = nullptr;  // [T, C]
  int64_t T = 0;
  int64_t n = 0;
  int64_t C = 0;
};

// One rounding each. Cost: reads and writes 4 T n C bytes, reads 4 T C.
void stream_add(Device& device, const StreamAdd& op);

void stream_add_reference(CpuDevice& cpu, const StreamAdd& op);
void stream_add_portable(CpuDevice& cpu, const StreamAdd& op);
std::span<const Version<StreamAdd>> stream_add_versions();

}  // namespace hadal::ops
