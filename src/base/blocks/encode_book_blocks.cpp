// IQ4_XS and IQ2_XXS: values from code books, groups of 32 with a scale of few bits each.
//
// Under a scale, the nearest entries are looked up; under the entries, least squares give the scale. Some scales are
// tried per group; then the groups' scales are rounded against the largest, and entries are looked up again.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/blocks/block_codes.h"
#include "base/blocks/block_encoders.h"
#include "base/blocks/block_fit.h"

namespace hadal {
namespace {

constexpr int kGroups = 8;
constexpr int kGroupValues = 32;
constexpr int kScaleTrials = 11;

// What a group of 32 is under a scale: w-weighted products for least squares.
struct Match {
  float xq = 0;  // sum w x q
  float qq = 0;  // sum w q q

  float best_scale() const { return qq > 0 ? xq / qq : 0; }
  // How much of sum w x^2 the best scale explains.
  float gain() const { return qq > 0 ? xq * xq / qq : 0; }
};

float put_f16(float value, std::byte* at) {
  const uint16_t code = f32_to_f16(value);
  std::memcpy(at, &code, sizeof code);
  return f16_to_f32(code);
}

struct Group {
  float values[kGroupValues];
  float weights[kGroupValues];

  static Group of(const float* values, const float* importance, int g) {
    Group group;
    std::copy_n(values + kGroupValues * g, kGroupValues, group.values);
    fit_weights(group.values, importance == nullptr ? nullptr : importance + kGroupValues * g, kGroupValues,
                group.weights);
    return group;
  }
  float largest() const {
    return *std::max_element(values, values + kGroupValues, [](float a, float b) { return std::abs(a) < std::abs(b); });
  }
};

// --- IQ4_XS ----------------------------------------------------------------------------------------------------------

unsigned nearest_iq4(float v) {
  const auto above =
      static_cast<unsigned>(std::lower_bound(kIq4Levels.begin(), kIq4Levels.end(), v) - kIq4Levels.begin());
  if (above == 0) return 0;
  if (above == kIq4Levels.size()) return above - 1;
  return v - kIq4Levels[above - 1] <= kIq4Levels[above] - v ? above - 1 : above;
}

float fit_iq4(const Group& group) {
  const float largest = group.largest();
  if (largest == 0) return 0;
  Match best;
  for (const int side : {-127, 113}) {
    for (int i = 0; i < kScaleTrials; ++i) {
      const float scale = largest / static_cast<float>(side) * (0.8f + 0.04f * static_cast<float>(i));
      Match match;
      for (int j = 0; j < kGroupValues; ++j) {
        const auto q = static_cast<float>(kIq4Levels[nearest_iq4(group.values[j] / scale)]);
        match.xq += group.weights[j] * group.values[j] * q;
        match.qq += group.weights[j] * q * q;
      }
      if (match.gain() > best.gain()) best = match;
    }
  }
  return best.best_scale();
}

// --- IQ2_XXS ---------------------------------------------------------------------------------------------------------

// Magnitudes of eight values and their signs, of which an even number may be minus: an odd one is mended where it
// costs least.
struct Eight {
  float magnitude[8];
  float weight[8];
  uint32_t signs = 0;

  static Eight of(const Group& group, int l) {
    Eight eight;
    int cheapest = 0;
    float cost_min = std::numeric_limits<float>::max();
    for (int t = 0; t < 8; ++t) {
      const float v = group.values[8 * l + t];
      eight.magnitude[t] = std::abs(v);
      eight.weight[t] = group.weights[8 * l + t];
      if (v < 0) eight.signs |= 1u << t;
      const float cost = eight.weight[t] * v * v;
      if (cost < cost_min) {
        cost_min = cost;
        cheapest = t;
      }
    }
    if (std::popcount(eight.signs) % 2 != 0) {
      eight.signs ^= 1u << cheapest;
      eight.magnitude[cheapest] = -eight.magnitude[cheapest];
    }
    return eight;
  }
};

// The entries as floats, and room for what a search needs of them.
struct Grid {
  float level[256][8];
};
const Grid& grid() {
  static const Grid kGrid = [] {
    Grid out;
    for (size_t entry = 0; entry < 256; ++entry) {
      for (size_t t = 0; t < 8; ++t)
        out.level[entry][t] = static_cast<float>(kIq2XxsLevels[(kIq2XxsGrid[entry] >> (2 * t)) & 3]);
    }
    return out;
  }();
  return kGrid;
}

struct Entry {
  unsigned index = 0;
  Match match;
};

Entry nearest_entry(const Eight& eight, float scale) {
  float wx[8];
  for (int t = 0; t < 8; ++t) wx[t] = eight.weight[t] * eight.magnitude[t];
  Entry best;
  float error_min = std::numeric_limits<float>::max();
  for (unsigned entry = 0; entry < 256; ++entry) {
    const float* level = grid().level[entry];
    Match match;
    for (int t = 0; t < 8; ++t) {
      match.xq += wx[t] * level[t];
      match.qq += eight.weight[t] * level[t] * level[t];
    }
    const float error = scale * scale * match.qq - 2 * scale * match.xq;
    if (error < error_min) {
      error_min = error;
      best = {entry, match};
    }
  }
  return best;
}

float fit_iq2(const std::array<Eight, 4>& eights, float largest) {
  if (largest == 0) return 0;
  Match best;
  for (int i = 0; i < kScaleTrials; ++i) {
    // The largest value falls between the second level and a little above the third.
    const float scale = largest / (22.0f + 3.0f * static_cast<float>(i));
    Match match;
    for (const Eight& eight : eights) {
      const Entry entry = nearest_entry(eight, scale);
      match.xq += entry.match.xq;
      match.qq += entry.match.qq;
    }
    if (match.xq > 0 && match.gain() > best.gain()) best = match;
  }
  return best.best_scale();
}

}  // namespace

void encode_iq4_xs(const float* values, const float* importance, std::byte* b) {
  std::array<float, kGroups> scales;
  for (int g = 0; g < kGroups; ++g) scales[static_cast<size_t>(g)] = fit_iq4(Group::of(values, importance, g));
  const float largest =
      *std::max_element(scales.begin(), scales.end(), [](float x, float y) { return std::abs(x) < std::abs(y); });
  const float d = put_f16(largest / -32.0f, b);
  std::fill_n(b + 2, 6, std::byte{0});
  uint16_t high = 0;
  for (int g = 0; g < kGroups; ++g) {
    const int level = nearest_code(scales[static_cast<size_t>(g)], d, -32, 31);
    const int stored = level + 32;
    b[4 + g / 2] |= static_cast<std::byte>((stored & 15) << (4 * (g % 2)));
    high = static_cast<uint16_t>(high | (stored >> 4) << (2 * g));
    const float scale = d * static_cast<float>(level);
    const auto code = [&](int i) { return scale == 0 ? 8u : nearest_iq4(values[kGroupValues * g + i] / scale); };
    for (int j = 0; j < 16; ++j) b[8 + 16 * g + j] = static_cast<std::byte>(code(j) | code(j + 16) << 4);
  }
  std::memcpy(b + 2, &high, sizeof high);
}

void encode_iq2_xxs(const float* values, const float* importance, std::byte* b) {
  std::array<std::array<Eight, 4>, kGroups> eights;
  std::array<float, kGroups> scales;
  for (int g = 0; g < kGroups; ++g) {
    const auto i = static_cast<size_t>(g);
    const Group group = Group::of(values, importance, g);
    for (int l = 0; l < 4; ++l) eights[i][static_cast<size_t>(l)] = Eight::of(group, l);
    scales[i] = fit_iq2(eights[i], std::abs(group.largest()));
  }
  // scale = d (0.5 + n) / 4, n in 0..15
  const float d = put_f16(*std::max_element(scales.begin(), scales.end()) * 4.0f / 15.5f, b);
  for (int g = 0; g < kGroups; ++g) {
    const auto i = static_cast<size_t>(g);
    const int level = d == 0 ? 0 : nearest_code(4.0f * scales[i] / d - 0.5f, 1.0f, 0, 15);
    const float scale = d * (0.5f + static_cast<float>(level)) * 0.25f;
    auto word = static_cast<uint32_t>(level) << 28;
    for (int l = 0; l < 4; ++l) {
      const Eight& eight = eights[i][static_cast<size_t>(l)];
      b[2 + 8 * g + l] = static_cast<std::byte>(nearest_entry(eight, scale).index);
      word |= (eight.signs & 127) << (7 * l);
    }
    std::memcpy(b + 2 + 8 * g + 4, &word, sizeof word);
  }
}

}  // namespace hadal
