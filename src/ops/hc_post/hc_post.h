// Manifold-constrained hyper-connections (mHC), second half: a sublayer's output back into the streams.
//
//   X'[j, c] = post[j] u[c] + sum_i comb[i][j] X[i, c]
//
// comb is used transposed: its first index is the source stream, the second the destination. The matrix is doubly
// stochastic but not symmetric, so the direction matters.
// Source: hc_post of the release's inference/model.py; mHC, arXiv 2512.24880.
#pragma once

#include "device/device.h"
#include "ops/versions.h"

namespace hadal::ops {

struct HcPost {
  float* x = nullptr;           // [T, n, C] streams, in place
  const float* u = nullptr;     // [T, C]
  const float* post = nullptr;  // [T, n]
  const float* comb = nullptr;  // [T, n, n]
  int64_t T = 0;
  int64_t n = 0;  // 1 to 8
  int64_t C = 0;  // a multiple of 8
};

// Order: post[j] u[c] first, then sources i ascending. Cost: reads and writes 4 T n C bytes, reads 4 T C.
void hc_post(Device& device, const HcPost& op);

void hc_post_reference(CpuDevice& cpu, const HcPost& op);
void hc_post_avx2(CpuDevice& cpu, const HcPost& op);
void hc_post_avx512(CpuDevice& cpu, const HcPost& op);
std::span<const Version<HcPost>> hc_post_versions();

}  // namespace hadal::ops
