// The release's 128 heads: 128 channels of a query against a latent of 512, FP8 weights. One token reads the W_UK half
// of wkv_b, 8.4 MB; many are bound by arithmetic.
#include "ops/mla_absorb/mla_absorb.h"

#include "testing/latent_weights.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

using test::kV3Heads;
using test::kV3LatentDim;
using test::kV3NopeDim;
using test::kV3RopeDim;
using test::kV3ValueDim;

struct Problem {
  std::vector<float> q, y;
  MlaAbsorb op;

  explicit Problem(int64_t T)
      : q(static_cast<size_t>(T * kV3Heads * (kV3NopeDim + kV3RopeDim)), 0.5f),
        y(static_cast<size_t>(T * kV3Heads * (kV3LatentDim + kV3RopeDim))) {
    op = {.q = q.data(),
          .wkv_b = test::v3_wkv_b()->weight,
          .y = y.data(),
          .T = T,
          .H = kV3Heads,
          .nope_dim = kV3NopeDim,
          .rope_dim = kV3RopeDim,
          .value_dim = kV3ValueDim,
          .latent_dim = kV3LatentDim};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 64}) {
    const test::Work work{.bytes = static_cast<double>(kV3Heads * kV3NopeDim * kV3LatentDim),
                          .flops = 2.0 * static_cast<double>(T * kV3Heads * kV3NopeDim * kV3LatentDim)};
    test::register_op("mla_absorb", "T" + std::to_string(T) + "_H128_fp8", mla_absorb_versions(), work,
                      [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
