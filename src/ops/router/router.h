// Which experts a token goes to, and with which weights.
//
//   s[e] = sqrt(softplus(g[e])) | sigmoid(g[e]) | softmax(g)[e]          g = gate logits
//   score routing: the k largest key[e] = s[e] + bias[e];  hash routing: the row of tid2eid for the token id
//   groups of E / n_groups neighbours: G[g] = the sum of the two largest keys of g (of the one that there is); experts
//   outside the n_limited_groups groups of largest G are not chosen
//   W[i] = s[idx[i]] (without bias) / sum_i, not for softmax;  times route_scale
//
// softplus(v) = v for v > 20, else log1p(exp(v)). Ties: the lower expert id wins, and the lower group.
// Source: Gate of the releases' inference/model.py; groups are V3's, which masks dropped ones with minus infinity.
#pragma once

#include "device/device.h"
#include "ops/versions.h"

namespace hadal::ops {

enum class RouterScore { kSqrtSoftplus, kSigmoid, kSoftmax };

struct Router {
  const float* logits = nullptr;       // [T, E]
  const float* bias = nullptr;         // [E]; null: no bias
  const int32_t* tid2eid = nullptr;    // [V, K], ids in range; null: score routing
  const int32_t* token_ids = nullptr;  // [T]; only for hash routing
  int32_t* experts = nullptr;          // [T, K] out, ascending ids
  float* weights = nullptr;            // [T, K] out, in the order of experts
  int64_t T = 0;
  int64_t E = 0;  // at most 4096
  int64_t K = 0;  // at most E, at most 64
  RouterScore score = RouterScore::kSqrtSoftplus;
  float route_scale = 1;
  int64_t n_groups = 1;          // divides E
  int64_t n_limited_groups = 1;  // at most n_groups, with at least K experts together; not for hash routing

  // Null, or [1] in place: lowered to place + t E + e for the first logit that is no finite number. Every channel takes
  // part in the logits, so a NaN or infinity anywhere in a token's activations shows here.
  int64_t* not_finite = nullptr;
  int64_t place = 0;
};

// What not_finite holds when all were finite so far: larger than any place, and 0x7F in every byte, for Device::fill.
inline constexpr uint8_t kAllFiniteByte = 0x7F;
inline constexpr int64_t kAllFinite = 0x7F7F7F7F7F7F7F7F;

// Order: the sum of the chosen scores by ascending expert id.
// Accuracy: scores and weights within 4e-6 of the reference for logits above -80 (below -87.3 a score may be 0); an
// expert is chosen before another whose key is larger by at most the rounding of both. Equal logits and biases give
// equal keys, so ties are exact. NaN logits choose nothing sensible, but distinct experts in range.
// Cost: about 1 ns per expert and token; reads 4 T E bytes.
void router(Device& device, const Router& op);

void router_reference(CpuDevice& cpu, const Router& op);
void router_avx2(CpuDevice& cpu, const Router& op);
void router_avx512(CpuDevice& cpu, const Router& op);
std::span<const Version<Router>> router_versions();

}  // namespace hadal::ops
