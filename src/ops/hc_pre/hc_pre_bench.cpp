// 4 streams of 4096: 64 KiB a token read twice, of which the second time counts as cache and not as bytes.
#include "ops/hc_pre/hc_pre.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kStreams = 4;
constexpr int64_t kHidden = 4096;
constexpr int64_t kMixes = (2 + kStreams) * kStreams;

struct Problem {
  std::vector<float> x, projected, scale, base, u, post, comb;
  HcPre op;

  explicit Problem(int64_t T)
      : x(static_cast<size_t>(T * kStreams * kHidden), 0.5f),
        projected(static_cast<size_t>(T * kMixes), 0.3f),
        scale(3, 1.0f),
        base(kMixes, 0.1f),
        u(static_cast<size_t>(T * kHidden)),
        post(static_cast<size_t>(T * kStreams)),
        comb(static_cast<size_t>(T * kStreams * kStreams)) {
    op = {.x = x.data(),
          .projected = projected.data(),
          .scale = scale.data(),
          .base = base.data(),
          .u = u.data(),
          .post = post.data(),
          .comb = comb.data(),
          .T = T,
          .n = kStreams,
          .C = kHidden,
          .sinkhorn_iters = 20,
          .norm_eps = 1e-6f,
          .hc_eps = 1e-6f};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 512}) {
    const auto n = static_cast<double>(T * kHidden);
    test::register_op("hc_pre", "T" + std::to_string(T) + "_n4_C4096", hc_pre_versions(),
                      {.bytes = 4 * n * (kStreams + 1), .flops = 4 * n * kStreams}, [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
