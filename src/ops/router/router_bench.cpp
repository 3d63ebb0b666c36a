// 256 experts of which 6 are chosen, by score and by hash, or 8 of the 4 best of 8 groups, as V3 does. The time is
// arithmetic: bytes are only the logits.
#include "ops/router/router.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kExperts = 256;
constexpr int64_t kChosen = 6;

struct Problem {
  std::vector<float> logits, bias, weights;
  std::vector<int32_t> tid2eid, token_ids, experts;
  Router op;

  Problem(int64_t T, bool is_hash)
      : logits(static_cast<size_t>(T * kExperts)),
        bias(kExperts, 0.1f),
        weights(static_cast<size_t>(T * kChosen)),
        tid2eid({3, 50, 90, 130, 170, 210}),
        token_ids(static_cast<size_t>(T), 0),
        experts(weights.size()) {
    // Between -4 and 4, in no order.
    for (size_t i = 0; i < logits.size(); ++i) {
      logits[i] = static_cast<float>(i * 2654435761u % 4096) / 512.0f - 4;
    }
    op = {.logits = logits.data(),
          .bias = is_hash ? nullptr : bias.data(),
          .tid2eid = is_hash ? tid2eid.data() : nullptr,
          .token_ids = is_hash ? token_ids.data() : nullptr,
          .experts = experts.data(),
          .weights = weights.data(),
          .T = T,
          .E = kExperts,
          .K = kChosen,
          .score = RouterScore::kSqrtSoftplus,
          .route_scale = 1.5f};
  }

  static Problem grouped(int64_t T) {
    Problem p(T, false);
    p.weights.resize(static_cast<size_t>(T * 8));
    p.experts.resize(static_cast<size_t>(T * 8));
    p.op.weights = p.weights.data();
    p.op.experts = p.experts.data();
    p.op.K = 8;
    p.op.score = RouterScore::kSigmoid;
    p.op.n_groups = 8;
    p.op.n_limited_groups = 4;
    return p;
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 2048}) {
    for (const bool is_hash : {false, true}) {
      test::register_op("router", (is_hash ? "hash_T" : "score_T") + std::to_string(T) + "_E256_K6", router_versions(),
                        {.bytes = static_cast<double>(4 * T * (is_hash ? kChosen : kExperts))},
                        [=] { return Problem(T, is_hash); });
    }
    test::register_op("router", "groups_T" + std::to_string(T) + "_E256_K8", router_versions(),
                      {.bytes = static_cast<double>(4 * T * kExperts)}, [=] { return Problem::grouped(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
