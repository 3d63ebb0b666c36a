#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "ops/router/router.h"

namespace hadal::ops {
namespace {

void scores_of(const Router& op, const float* g, std::vector<float>& s) {
  const auto E = static_cast<size_t>(op.E);
  switch (op.score) {
    case RouterScore::kSqrtSoftplus:
      for (size_t e = 0; e < E; ++e) s[e] = std::sqrt(g[e] > 20.0f ? g[e] : std::log1p(std::exp(g[e])));
      return;
    case RouterScore::kSigmoid:
      for (size_t e = 0; e < E; ++e) s[e] = 1.0f / (1.0f + std::exp(-g[e]));
      return;
    case RouterScore::kSoftmax: {
      const float max = *std::max_element(g, g + op.E);
      float sum = 0;
      for (size_t e = 0; e < E; ++e) sum += s[e] = std::exp(g[e] - max);
      for (size_t e = 0; e < E; ++e) s[e] /= sum;
      return;
    }
  }
}

}  // namespace

void router_reference(CpuDevice&, const Router& op) {
  std::vector<float> s(static_cast<size_t>(op.E));
  std::vector<float> key(s.size());
  std::vector<int32_t> order(s.size());
  for (int64_t t = 0; t < op.T; ++t) {
    int32_t* experts = op.experts + t * op.K;
    float* weights = op.weights + t * op.K;
    scores_of(op, op.logits + t * op.E, s);
    if (op.tid2eid != nullptr) {
      std::copy_n(op.tid2eid + static_cast<int64_t>(op.token_ids[t]) * op.K, op.K, experts);
    } else {
      for (size_t e = 0; e < s.size(); ++e) key[e] = s[e] + (op.bias != nullptr ? op.bias[e] : 0.0f);
      std::iota(order.begin(), order.end(), 0);
      std::partial_sort(order.begin(), order.begin() + op.K, order.end(), [&](int32_t a, int32_t b) {
        const float ka = key[static_cast<size_t>(a)];
        const float kb = key[static_cast<size_t>(b)];
        return ka != kb ? ka > kb : a < b;
      });
      std::copy_n(order.begin(), op.K, experts);
    }
    std::sort(experts, experts + op.K);
    float sum = 0;
    for (int64_t i = 0; i < op.K; ++i) sum += weights[i] = s[static_cast<size_t>(experts[i])];
    for (int64_t i = 0; i < op.K; ++i) {
      if (op.score != RouterScore::kSoftmax) weights[i] /= sum;
      weights[i] *= op.route_scale;
    }
  }
}

}  // namespace hadal::ops
