#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
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

// Keys of experts outside the best groups become minus infinity.
void drop_groups(const Router& op, std::vector<float>& key) {
  if (op.n_limited_groups == op.n_groups) return;
  const int64_t size = op.E / op.n_groups;
  std::vector<float> sum(static_cast<size_t>(op.n_groups));
  for (size_t g = 0; g < sum.size(); ++g) {
    const auto begin = key.begin() + static_cast<int64_t>(g) * size;
    std::vector<float> descending(begin, begin + size);
    std::sort(descending.begin(), descending.end(), std::greater<>());
    sum[g] = size == 1 ? descending[0] : descending[0] + descending[1];
  }
  std::vector<size_t> order(sum.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return sum[a] > sum[b] || (sum[a] == sum[b] && a < b); });
  for (size_t i = static_cast<size_t>(op.n_limited_groups); i < order.size(); ++i) {
    std::fill_n(key.begin() + static_cast<int64_t>(order[i]) * size, size, -std::numeric_limits<float>::infinity());
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
      drop_groups(op, key);
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
