// What a token's n-grams say, into its streams: each takes the value as far as its key fits the stream.
//
//   dot[j]  = sum_c x[j, c] q[j, c] k[j, c] key[j, c] / (rms(x[j]) rms(key[j]) sqrt(C)),  rms(v) = sqrt(mean v^2 + eps)
//   gate[j] = sigmoid(copysign(sqrt(max(|dot[j]|, 1e-6)), dot[j]))
//   X[j, c] += gate[j] value[c]
//
// The gate of a dot of 0 is 0.50025: sums begin at +0. Source: Engram of the V4.1 release's inference/model.py; the
// published demo adds a convolution, which V4.1 has not.
#pragma once

#include "device/device.h"
#include "ops/versions.h"

namespace hadal::ops {

struct EngramGate {
  float* x = nullptr;                // [T, n, C] streams, in place
  const float* key_value = nullptr;  // [T, n + 1, C]: a key for each stream, then the value
  const float* q_weight = nullptr;   // [n, C]
  const float* k_weight = nullptr;   // [n, C]
  int64_t T = 0;
  int64_t n = 0;
  int64_t C = 0;  // a multiple of 8
  float eps = 0;  // above 0
};

// Order: means of squares as in rms_norm; the dot by 16 partial sums (c mod 16), c ascending, then the tree of
// ops/simd_avx512.h. Accuracy: gates within 1e-5 of the reference, which sums in double, unless the dot is so near 0
// that its sign is not known. NaN stays in its token. Cost: reads 4 (3 n + 1) C bytes and writes 4 n C of each token.
void engram_gate(Device& device, const EngramGate& op);

void engram_gate_reference(CpuDevice& cpu, const EngramGate& op);
void engram_gate_avx2(CpuDevice& cpu, const EngramGate& op);
void engram_gate_avx512(CpuDevice& cpu, const EngramGate& op);
std::span<const Version<EngramGate>> engram_gate_versions();

}  // namespace hadal::ops
