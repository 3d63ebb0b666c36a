// What is read out of a row of logits: probabilities, the likeliest token, the distance to another row.
//
// Sums run in double, in the order of the vocabulary.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace hadal {

// ln p of single tokens: LogSoftmax(logits)(logits[id]).
struct LogSoftmax {
  double max = -INFINITY;
  double log_sum = 0;

  explicit LogSoftmax(std::span<const float> logits) {
    for (const float v : logits) max = std::max(max, static_cast<double>(v));
    double sum = 0;
    for (const float v : logits) sum += std::exp(static_cast<double>(v) - max);
    log_sum = std::log(sum);
  }
  double operator()(float logit) const { return static_cast<double>(logit) - max - log_sum; }
};

// KL(p || q) in nats of the distributions behind two rows of logits.
inline double kl_divergence(std::span<const float> p_logits, std::span<const float> q_logits) {
  const LogSoftmax p(p_logits);
  const LogSoftmax q(q_logits);
  double kl = 0;
  for (size_t i = 0; i < p_logits.size(); ++i) {
    const double log_p = p(p_logits[i]);
    kl += std::exp(log_p) * (log_p - q(q_logits[i]));
  }
  return kl;
}

// The likeliest token; of equals the lowest id.
inline int32_t argmax(std::span<const float> logits) {
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace hadal
