// The latent attention of the V3 release: its sizes, and a wkv_b of them for tests and benchmarks.
#pragma once

#include <cstdint>
#include <memory>
#include <random>

#include "testing/weights.h"

namespace hadal::test {

inline constexpr int64_t kV3Heads = 128;
inline constexpr int64_t kV3NopeDim = 128;
inline constexpr int64_t kV3RopeDim = 64;
inline constexpr int64_t kV3ValueDim = 128;
inline constexpr int64_t kV3LatentDim = 512;

// [heads (nope + value), latent] in FP8. The same for all who ask: making it takes seconds.
inline const std::shared_ptr<const StoredMatrix>& v3_wkv_b() {
  static const auto w = [] {
    std::mt19937 random(1);
    return std::make_shared<const StoredMatrix>(
        StoredMatrix::random(random, DType::kF8E4M3, kV3Heads * (kV3NopeDim + kV3ValueDim), kV3LatentDim));
  }();
  return w;
}

}  // namespace hadal::test
