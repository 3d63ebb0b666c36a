// The release's 128 heads: latents of 512 channels to values of 128, FP8 weights, BF16 activations. One token reads the
// W_UV half of wkv_b, 8.4 MB; many are bound by arithmetic.
#include "ops/mla_expand/mla_expand.h"

#include "testing/latent_weights.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

using test::kV3Heads;
using test::kV3LatentDim;
using test::kV3NopeDim;
using test::kV3ValueDim;

struct Problem {
  std::vector<std::byte> z;
  std::vector<float> y;
  MlaExpand op;

  explicit Problem(int64_t T)
      : z(static_cast<size_t>(packed_rows_bytes(T, kV3Heads, kV3LatentDim, RowFormat::kBf16)), std::byte{0x3F}),
        y(static_cast<size_t>(T * kV3Heads * kV3ValueDim)) {
    op = {.z = {.format = RowFormat::kBf16, .T = T, .groups = kV3Heads, .K = kV3LatentDim, .data = z.data()},
          .wkv_b = test::v3_wkv_b()->weight,
          .y = y.data(),
          .H = kV3Heads,
          .nope_dim = kV3NopeDim,
          .value_dim = kV3ValueDim};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 64}) {
    const test::Work work{.bytes = static_cast<double>(kV3Heads * kV3ValueDim * kV3LatentDim),
                          .flops = 2.0 * static_cast<double>(T * kV3Heads * kV3ValueDim * kV3LatentDim)};
    test::register_op("mla_expand", "T" + std::to_string(T) + "_H128_fp8", mla_expand_versions(), work,
                      [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
