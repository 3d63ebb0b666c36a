// What the matrices of experts and dense networks meet, for an InputObserver.
//
// The op that multiplies keeps to itself what w2 gets, so gate and up are computed once more here: collecting costs
// half as much again, and computing without an observer nothing.

#include "forward/forward_impl.h"
#include "ops/moe/moe.h"

namespace hadal {

void ForwardPass::Impl::observe_network(const ExpertWeights& network, const float* x, int64_t T) {
  const int64_t C = network.w1.cols, I = network.w1.rows;
  options.inputs->input(network.w1, x, T, C);
  options.inputs->input(network.w3, x, T, C);
  std::vector<float> hidden(static_cast<size_t>(T * I)), up(static_cast<size_t>(T * I));
  Activations gathered(device, workspace, x, T, C);
  apply(network.w1, gathered, hidden.data(), I);
  apply(network.w3, gathered, up.data(), I);
  const auto limit = static_cast<float>(description.swiglu_limit);
  for (size_t i = 0; i < hidden.size(); ++i) hidden[i] = ops::swiglu(hidden[i], up[i], limit);
  options.inputs->input(network.w2, hidden.data(), T, I);
}

void ForwardPass::Impl::observe_experts(const LayerWeights& layer_weights, int64_t T, const float* x) {
  const int64_t C = description.hidden, K = description.n_experts_per_token;
  std::vector<float> rows;
  for (size_t e = 0; e < layer_weights.experts.size(); ++e) {
    rows.clear();
    for (int64_t i = 0; i < T * K; ++i) {
      if (workspace.experts[i] != static_cast<int32_t>(e)) continue;
      const float* row = x + i / K * C;
      rows.insert(rows.end(), row, row + C);
    }
    if (!rows.empty()) observe_network(layer_weights.experts[e], rows.data(), static_cast<int64_t>(rows.size()) / C);
  }
  if (!layer_weights.shared.w1.empty()) observe_network(layer_weights.shared, x, T);
}

}  // namespace hadal
