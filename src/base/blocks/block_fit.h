// Least squares for one group of values: which scale (and offset) makes small integers come nearest to them.
#pragma once

namespace hadal {

inline constexpr int kFitValuesMax = 32;

// Weights of an error: importance as given, or 1 plus the value's share of the mean square, so that large values count
// more, as they do in what follows a matrix.
void fit_weights(const float* values, const float* importance, int n, float* weights);

struct OffsetFit {
  float scale = 0;   // >= 0
  float offset = 0;  // >= 0: value = scale * q - offset
};
// min over scale, offset and q in 0..q_max of sum w (value - (scale q - offset))^2: some spreads of the codes are
// tried, each with its least squares solution.
OffsetFit fit_with_offset(const float* values, const float* weights, int n, int q_max);

// min over scale and q in q_min..q_max of sum w (value - scale q)^2; the scale may be negative.
float fit_scale(const float* values, const float* weights, int n, int q_min, int q_max);

// The integer nearest to value / scale in q_min..q_max; 0 (or the nearest to it) when the scale is 0.
int nearest_code(float value, float scale, int q_min, int q_max);

}  // namespace hadal
