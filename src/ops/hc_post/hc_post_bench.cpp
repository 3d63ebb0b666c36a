// 4 streams of 4096: reads 80 KiB a token and writes 64 KiB.
#include "ops/hc_post/hc_post.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kStreams = 4;
constexpr int64_t kHidden = 4096;

struct Problem {
  std::vector<float> x, u, post, comb;
  HcPost op;

  // Weights that keep the streams bounded over any number of iterations: comb takes the mean, post adds little.
  explicit Problem(int64_t T)
      : x(static_cast<size_t>(T * kStreams * kHidden), 0.5f),
        u(static_cast<size_t>(T * kHidden), 0.5f),
        post(static_cast<size_t>(T * kStreams), 0.1f),
        comb(static_cast<size_t>(T * kStreams * kStreams), 0.2f) {
    op = {.x = x.data(), .u = u.data(), .post = post.data(), .comb = comb.data(), .T = T, .n = kStreams, .C = kHidden};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 512}) {
    const auto n = static_cast<double>(T * kHidden);
    test::register_op("hc_post", "T" + std::to_string(T) + "_n4_C4096", hc_post_versions(),
                      {.bytes = 4 * n * (2 * kStreams + 1), .flops = 2 * n * kStreams * (kStreams + 1)},
                      [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
