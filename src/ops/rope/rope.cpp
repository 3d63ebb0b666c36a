#include "ops/rope/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/cuda_ops.h"

namespace hadal::ops {

std::vector<float> rope_frequencies(const RopeFrequencies& spec) {
  HADAL_CHECK(spec.theta > 1 && spec.rope_dim > 0 && spec.rope_dim % 2 == 0, "rope", spec.theta, spec.rope_dim);
  const auto dim = static_cast<double>(spec.rope_dim);
  std::vector<float> freqs(static_cast<size_t>(spec.rope_dim / 2));
  for (size_t i = 0; i < freqs.size(); ++i) {
    freqs[i] = 1.0f / static_cast<float>(std::pow(spec.theta, 2.0 * static_cast<double>(i) / dim));
  }
  if (spec.original_tokens == 0) return freqs;

  // YaRN: pairs that turn less than beta_slow times within the original context are slowed by `factor`, those that
  // turn more than beta_fast times stay, and a ramp lies between.
  const auto pair_of_turns = [&](double turns) {
    return dim * std::log(static_cast<double>(spec.original_tokens) / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(spec.theta));
  };
  const double low = std::max(std::floor(pair_of_turns(spec.beta_fast)), 0.0);
  double high = std::min(std::ceil(pair_of_turns(spec.beta_slow)), dim - 1);
  if (low == high) high += 0.001;  // as the release avoids a division by zero
  for (size_t i = 0; i < freqs.size(); ++i) {
    const auto ramp = static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
    const float smooth = 1.0f - ramp;
    freqs[i] = freqs[i] / static_cast<float>(spec.factor) * (1.0f - smooth) + freqs[i] * smooth;
  }
  return freqs;
}

void rope_cos_sin(const std::vector<float>& freqs, int64_t position, float* cos_sin) {
  for (const float f : freqs) {
    const double angle = static_cast<float>(position) * f;
    *cos_sin++ = static_cast<float>(std::cos(angle));
    *cos_sin++ = static_cast<float>(std::sin(angle));
  }
}

std::span<const Version<Rope>> rope_versions() {
  static constexpr Version<Rope> kVersions[] = {
      {CpuLevel::kPortable, rope_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, rope_avx2}, {CpuLevel::kAvx512, rope_avx512})};
  return kVersions;
}

void rope(Device& device, const Rope& op) {
  HADAL_CHECK(op.rope_dim % 2 == 0 && op.rope_dim <= op.D && op.rope_dim <= 4096, "rope: rope_dim and D", op.rope_dim,
              op.D);
  if (run_on_cuda(device, &CudaOps::rope, op, op.layout == RopeLayout::kPairsLast, "rope: rotation by halves")) return;
  CpuDevice& cpu = as_cpu(device);
  choose_version(rope_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
