// Token embedding into the streams: every stream of a token begins as the same row of the table.
//
//   x[t, j, c] = table[ids[t], c],  j < n
#pragma once

#include "device/device.h"
#include "device/tensor.h"
#include "ops/versions.h"

namespace hadal::ops {

struct Embed {
  Weight table;                  // [V, C], any stored float type
  const int32_t* ids = nullptr;  // [T], in [0, V)
  float* x = nullptr;            // [T, n, C]
  int64_t T = 0;
  int64_t n = 1;
};

// Exact. Cost: reads T rows, writes 4 T n C bytes.
void embed(Device& device, const Embed& op);

void embed_reference(CpuDevice& cpu, const Embed& op);
void embed_portable(CpuDevice& cpu, const Embed& op);
std::span<const Version<Embed>> embed_versions();

}  // namespace hadal::ops
