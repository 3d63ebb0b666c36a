// Mixture of SwiGLU experts: the chosen routed experts of every token, then the shared one.
//
//   a = w1 x, b = w3 x;  limit > 0: b = clamp(b, -limit, limit), a = min(a, limit)
//   h = weight * (a sigmoid(a) b)          weight of the router; 1 for the shared expert
//   y = sum over routed experts by ascending id (w2 r(h)), then + shared
//
// The weight is applied before w2, so it takes part in the rounding r of h, as in the release. Both kinds of experts
// are clamped (the first release forgot the shared one). Source: MoE and Expert of the release's inference/model.py.
//
// Tokens are grouped by expert, so that each expert's weights are read once per call.
#pragma once

#include <span>

#include "device/device.h"
#include "device/tensor.h"
#include "ops/linear/linear.h"
#include "ops/versions.h"

namespace hadal::ops {

struct Moe {
  PackedRows x;                                  // [T, 1, C] for the routed experts
  PackedRows shared_x;                           // [T, 1, C] the same tokens for the shared expert, whose weights may
                                                 // want another rounding; unused without one. A GPU's: x itself
  const int32_t* experts = nullptr;              // [T, K] ascending ids
  const float* weights = nullptr;                // [T, K]
  std::span<const ExpertWeights> routed;         // [E]; a GPU's: descriptors on the host, matrices on the GPU
  const ExpertWeights* routed_on_gpu = nullptr;  // [E] the same descriptors where kernels read them; for GPUs
  const ExpertWeights* shared = nullptr;         // null: none; the descriptor is read on the host
  int64_t T = 0;
  int64_t K = 0;
  int64_t C = 0;  // hidden
  int64_t I = 0;  // moe_inter_dim
  float swiglu_limit = 0;
  ActivationRounding hidden_rounding = ActivationRounding::kNone;         // of h, before the routed experts' w2
  ActivationRounding shared_hidden_rounding = ActivationRounding::kNone;  // of h, before the shared expert's w2
  float* y = nullptr;                                                     // [T, C]
  std::byte* scratch = nullptr;                                           // moe_scratch_bytes(...), aligned to 64
};

int64_t moe_scratch_bytes(int64_t T, int64_t K, int64_t I);
// On a GPU: h and the output of every (token, expert) pair, and the pairs by expert.
int64_t moe_gpu_scratch_bytes(int64_t T, int64_t E, int64_t K, int64_t C, int64_t I);

int64_t moe_scratch_bytes(const Device::Shape& device, int64_t T, int64_t E, int64_t K, int64_t C, int64_t I);

// Order: each (token, expert) as linear; the sum over experts by ascending id, the shared one last. Independent of T,
// of what other tokens chose and of threads.
// Cost: reads each expert that is chosen at least once, once; 6 C I operations per token and expert.
void moe(Device& device, const Moe& op);

void moe_reference(CpuDevice& cpu, const Moe& op);
std::span<const Version<Moe>> moe_versions();

// The activation alone, for the goldens: h = a sigmoid(a) b with the clamps.
float swiglu(float gate, float up, float limit);

}  // namespace hadal::ops
