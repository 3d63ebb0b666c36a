#include "base/blocks/block_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hadal {
namespace {

// Spreads that are tried: the codes reach from a little inside to a little outside of what the values ask for.
constexpr int kTrials = 21;
constexpr float kTrialStep = 0.1f;

float trial(int i) {
  return kTrialStep * static_cast<float>(i - kTrials / 2);
}

}  // namespace

int nearest_code(float value, float scale, int q_min, int q_max) {
  if (scale == 0) return std::clamp(0, q_min, q_max);
  return static_cast<int>(
      std::clamp(std::nearbyint(value / scale), static_cast<float>(q_min), static_cast<float>(q_max)));
}

void fit_weights(const float* values, const float* importance, int n, float* weights) {
  float square = 0;
  for (int i = 0; i < n; ++i) square += values[i] * values[i];
  const float mean = square / static_cast<float>(n);
  for (int i = 0; i < n; ++i) {
    const float by_size = mean > 0 ? 1.0f + std::abs(values[i]) / std::sqrt(mean) : 1.0f;
    // Importance alone would let a channel that was never seen take any value.
    weights[i] = importance == nullptr ? by_size : importance[i] * std::sqrt(mean + values[i] * values[i]) + 1e-30f;
  }
}

OffsetFit fit_with_offset(const float* values, const float* weights, int n, int q_max) {
  const float least = std::min(0.0f, *std::min_element(values, values + n));
  const float most = std::max(0.0f, *std::max_element(values, values + n));
  if (most == least) return {};
  OffsetFit best;
  float best_error = std::numeric_limits<float>::max();
  for (int i = 0; i < kTrials; ++i) {
    const float first_scale = (most - least) / (static_cast<float>(q_max) + trial(i));
    // Sums for the normal equations of (scale, offset), codes fixed.
    float w = 0, wq = 0, wqq = 0, wx = 0, wqx = 0;
    float q[kFitValuesMax];
    for (int j = 0; j < n; ++j) {
      q[j] = static_cast<float>(nearest_code(values[j] - least, first_scale, 0, q_max));
      w += weights[j];
      wq += weights[j] * q[j];
      wqq += weights[j] * q[j] * q[j];
      wx += weights[j] * values[j];
      wqx += weights[j] * q[j] * values[j];
    }
    const float determinant = w * wqq - wq * wq;
    if (!(determinant > 0)) continue;
    OffsetFit fit{.scale = (w * wqx - wq * wx) / determinant, .offset = (wq * wqx - wqq * wx) / determinant};
    if (fit.offset < 0) fit = {.scale = wqq > 0 ? wqx / wqq : 0, .offset = 0};
    if (!(fit.scale > 0)) continue;
    float error = 0;
    for (int j = 0; j < n; ++j) {
      // Codes under the new scale: those that will be stored.
      const float code = static_cast<float>(nearest_code(values[j] + fit.offset, fit.scale, 0, q_max));
      const float difference = values[j] - (fit.scale * code - fit.offset);
      error += weights[j] * difference * difference;
    }
    if (error < best_error) {
      best_error = error;
      best = fit;
    }
  }
  if (best.scale == 0) return {.scale = (most - least) / static_cast<float>(q_max), .offset = -least};
  return best;
}

float fit_scale(const float* values, const float* weights, int n, int q_min, int q_max) {
  const float largest =
      *std::max_element(values, values + n, [](float a, float b) { return std::abs(a) < std::abs(b); });
  if (largest == 0) return 0;
  float best = 0;
  float best_error = std::numeric_limits<float>::max();
  for (int i = 0; i < kTrials; ++i) {
    // The longer side of the codes takes the largest value, whatever its sign.
    const float first_scale = largest / (static_cast<float>(q_min) + trial(i));
    float wqq = 0, wqx = 0, wxx = 0;
    for (int j = 0; j < n; ++j) {
      const auto q = static_cast<float>(nearest_code(values[j], first_scale, q_min, q_max));
      wqq += weights[j] * q * q;
      wqx += weights[j] * q * values[j];
      wxx += weights[j] * values[j] * values[j];
    }
    if (!(wqq > 0)) continue;
    const float error = wxx - wqx * wqx / wqq;
    if (error < best_error) {
      best_error = error;
      best = wqx / wqq;
    }
  }
  return best;
}

}  // namespace hadal
