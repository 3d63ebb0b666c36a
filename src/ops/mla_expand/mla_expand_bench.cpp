// The release's 128 heads: latents of 512 channels to values of 128, FP8 weights, BF16 activations. One token reads the
// W_UV half of wkv_b, 8.4 MB; many are bound by arithmetic.
#include "ops/mla_expand/mla_expand.h"

#include <random>

#include "testing/op_bench.h"
#include "testing/weights.h"

namespace hadal::ops {
namespace {

constexpr int64_t kHeads = 128;
constexpr int64_t kNope = 128;
constexpr int64_t kValue = 128;
constexpr int64_t kLatent = 512;

// The same for all shapes: making it takes seconds.
const test::StoredMatrix& weights() {
  static const test::StoredMatrix w = [] {
    std::mt19937 random(1);
    return test::StoredMatrix::random(random, DType::kF8E4M3, kHeads * (kNope + kValue), kLatent);
  }();
  return w;
}

struct Problem {
  std::vector<std::byte> z;
  std::vector<float> y;
  MlaExpand op;

  explicit Problem(int64_t T)
      : z(static_cast<size_t>(packed_rows_bytes(T, kHeads, kLatent, RowFormat::kBf16)), std::byte{0x3F}),
        y(static_cast<size_t>(T * kHeads * kValue)) {
    op = {.z = {.format = RowFormat::kBf16, .T = T, .groups = kHeads, .K = kLatent, .data = z.data()},
          .wkv_b = weights().weight,
          .y = y.data(),
          .H = kHeads,
          .nope_dim = kNope,
          .value_dim = kValue};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 64}) {
    const test::Work work{.bytes = static_cast<double>(kHeads * kValue * kLatent),
                          .flops = 2.0 * static_cast<double>(T * kHeads * kValue * kLatent)};
    test::register_op("mla_expand", "T" + std::to_string(T) + "_H128_fp8", mla_expand_versions(), work,
                      [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
