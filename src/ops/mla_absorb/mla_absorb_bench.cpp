// The release's 128 heads: 128 channels of a query against a latent of 512, FP8 weights. One token reads the W_UK half
// of wkv_b, 8.4 MB; many are bound by arithmetic.
#include "ops/mla_absorb/mla_absorb.h"

#include <random>

#include "testing/op_bench.h"
#include "testing/weights.h"

namespace hadal::ops {
namespace {

constexpr int64_t kHeads = 128;
constexpr int64_t kNope = 128;
constexpr int64_t kRope = 64;
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
  std::vector<float> q, y;
  MlaAbsorb op;

  explicit Problem(int64_t T)
      : q(static_cast<size_t>(T * kHeads * (kNope + kRope)), 0.5f),
        y(static_cast<size_t>(T * kHeads * (kLatent + kRope))) {
    op = {.q = q.data(),
          .wkv_b = weights().weight,
          .y = y.data(),
          .T = T,
          .H = kHeads,
          .nope_dim = kNope,
          .rope_dim = kRope,
          .value_dim = kValue,
          .latent_dim = kLatent};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 64}) {
    const test::Work work{.bytes = static_cast<double>(kHeads * kNope * kLatent),
                          .flops = 2.0 * static_cast<double>(T * kHeads * kNope * kLatent)};
    test::register_op("mla_absorb", "T" + std::to_string(T) + "_H128_fp8", mla_absorb_versions(), work,
                      [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
