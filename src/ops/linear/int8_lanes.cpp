#include "ops/linear/int8_lanes.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/linear/int8_rows.h"

namespace hadal::ops {

void pack_int8_lanes(const float* x, int64_t n, Int8Lanes& out) {
  float padded[kLaneStep] = {};
  std::copy_n(x, n, padded);
  for (int64_t scaled = 0; scaled < kLaneStep; scaled += kLaneScaled) {
    const float* v = padded + scaled;
    uint32_t largest = 0;
    for (int64_t i = 0; i < kLaneScaled; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(v[i]) & 0x7FFFFFFF);
    const Int8Scale scale = int8_scale(largest);
    for (int64_t i = 0; i < kLaneScaled; i += kLaneChannels) {
      const int64_t lane = lane_of((scaled + i) / kLaneChannels);
      int32_t sum = 0;
      for (int64_t j = 0; j < kLaneChannels; ++j) {
        const float rounded = scale.is_finite ? std::nearbyint(v[i + j] * scale.inverse) : 0.0f;
        const auto q = static_cast<int8_t>(rounded);
        out.q[j / 4][4 * lane + j % 4] = q;
        sum += q;
      }
      out.start[lane] = -kLaneOffset * sum;
      out.scale[lane] = 2 * scale.half;
      out.minus_sum[lane] = -out.scale[lane] * static_cast<float>(sum);
    }
  }
}

}  // namespace hadal::ops
