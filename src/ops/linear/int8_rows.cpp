#include "ops/linear/int8_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace hadal::ops {
Int8Scale int8_scale(uint32_t largest_bits) {
  // As integers the magnitudes of infinity and NaN are the largest.
  if (largest_bits >= 0x7F800000) return {false, 0, std::numeric_limits<float>::quiet_NaN()};
  const float largest = std::bit_cast<float>(largest_bits);
  if (largest < 0x1p-100f) return {true, 0, 0x1p-108f};
  return {true, 127.0f / largest, largest / 254.0f};
}

void pack_int8_block(const float* x, int64_t n, Int8Block& out) {
  float padded[kInt8Block] = {};
  std::copy_n(x, n, padded);
  for (int64_t scaled = 0; scaled < kInt8Block; scaled += kInt8Scaled) {
    const float* v = padded + scaled;
    uint32_t largest = 0;
    for (int64_t i = 0; i < kInt8Scaled; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(v[i]) & 0x7FFFFFFF);
    const Int8Scale scale = int8_scale(largest);
    for (int64_t i = 0; i < kInt8Scaled; i += 8) {
      int32_t sum = 0;
      const int64_t lane = (scaled + i) / 8;
      for (int64_t j = 0; j < 8; ++j) {
        const float rounded = scale.is_finite ? std::nearbyint(v[i + j] * scale.inverse) : 0.0f;
        const auto q = static_cast<int8_t>(rounded);
        (j % 2 == 0 ? out.even : out.odd)[(scaled + i + j) / 2] = q;
        sum += q;
      }
      out.start[lane] = -kE2m1Offset * sum;
      out.scale[lane] = scale.half;
    }
  }
}

}  // namespace hadal::ops
