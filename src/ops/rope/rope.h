// Rotary position embedding of rope_dim channels of a head.
//
//   kPairsLast:    (a, b) = (x[2i], x[2i + 1]) of the last channels of a head
//   kHalvesFirst:  (a, b) = (x[i], x[i + rope_dim / 2]) of the first ones: the indexer of V3.2
//   angle = float(position) * freqs[i], in float;  (a, b) -> (a cos - b sin, a sin + b cos);  inverse: angle -> -angle
//
// Sources: Su et al. 2021; YaRN: Peng et al. 2023, as precompute_freqs_cis of the release's inference/model.py computes
// it (no attention factor on cos and sin). The angle is the float product, as the release has it: near a million
// positions it differs from the exact angle by up to 0.03 rad, and the models were trained with it.
#pragma once

#include <vector>

#include "device/device.h"
#include "ops/versions.h"

namespace hadal::ops {

struct RopeFrequencies {
  double theta = 0;
  int64_t rope_dim = 0;
  // YaRN: off when original_tokens is 0.
  double factor = 1;
  int64_t original_tokens = 0;
  double beta_fast = 32;
  double beta_slow = 1;
};

// freqs[i], i < rope_dim / 2: the power in double, rounded to float, then its reciprocal rounded to float.
std::vector<float> rope_frequencies(const RopeFrequencies& spec);

// cos_sin[2i] = cos(angle_i), cos_sin[2i + 1] = sin(angle_i) for one position; accurate for any float angle.
void rope_cos_sin(const std::vector<float>& freqs, int64_t position, float* cos_sin);

enum class RopeLayout { kPairsLast, kHalvesFirst };

struct Rope {
  float* x = nullptr;  // [T, H, D], in place; tokens t_stride elements apart, heads D apart
  int64_t T = 0;
  int64_t H = 0;
  int64_t D = 0;  // a multiple of 8
  int64_t t_stride = 0;
  int64_t rope_dim = 0;            // even, at most D and 4096
  const float* cos_sin = nullptr;  // [T, rope_dim], from rope_cos_sin
  bool inverse = false;
  RopeLayout layout = RopeLayout::kPairsLast;  // of all releases but for V3.2's indexer
};

// Accuracy: each output within 2^-22 of its larger product. Cost: reads and writes 4 T H rope_dim bytes.
void rope(Device& device, const Rope& op);

void rope_reference(CpuDevice& cpu, const Rope& op);
void rope_avx2(CpuDevice& cpu, const Rope& op);
void rope_avx512(CpuDevice& cpu, const Rope& op);
std::span<const Version<Rope>> rope_versions();

}  // namespace hadal::ops
