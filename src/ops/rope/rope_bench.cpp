// The 64 heads of a token in decode, and of a prefill's tokens. A rotation is 6 operations per pair.
#include "ops/rope/rope.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kHeads = 64;
constexpr int64_t kHeadDim = 512;
constexpr int64_t kRopeDim = 64;

struct Problem {
  std::vector<float> x;
  std::vector<float> cos_sin;
  Rope op;

  explicit Problem(int64_t T)
      : x(static_cast<size_t>(T * kHeads * kHeadDim), 0.5f), cos_sin(static_cast<size_t>(T * kRopeDim)) {
    const std::vector<float> freqs = rope_frequencies({.theta = 10000, .rope_dim = kRopeDim});
    for (int64_t t = 0; t < T; ++t) rope_cos_sin(freqs, 1000 + t, cos_sin.data() + t * kRopeDim);
    op = {.x = x.data(),
          .T = T,
          .H = kHeads,
          .D = kHeadDim,
          .t_stride = kHeads * kHeadDim,
          .rope_dim = kRopeDim,
          .cos_sin = cos_sin.data()};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 1024}) {
    const auto n = static_cast<double>(T * kHeads * kRopeDim);
    test::register_op("rope", "T" + std::to_string(T) + "_H64_D512", rope_versions(), {.bytes = 8 * n, .flops = 3 * n},
                      [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
