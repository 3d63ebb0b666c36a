// The indexer's keys of V3.2: 128 channels a token.
#include "ops/layer_norm/layer_norm.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kC = 128;

struct Problem {
  std::vector<float> x, gain, bias;
  LayerNorm op;

  explicit Problem(int64_t T) : x(static_cast<size_t>(T * kC)), gain(kC, 1.0f), bias(kC, 0.1f) {
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 7);
    op = {.x = x.data(), .gain = gain.data(), .bias = bias.data(), .T = T, .C = kC, .eps = 1e-6f};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 2048}) {
    const auto n = static_cast<double>(T * kC);
    test::register_op("layer_norm", "T" + std::to_string(T) + "_C128", layer_norm_versions(),
                      {.bytes = 8 * n, .flops = 8 * n}, [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
