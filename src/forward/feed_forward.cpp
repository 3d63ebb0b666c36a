// One feed-forward sublayer: router, routed experts and shared expert, or one dense network.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "forward/forward_impl.h"
#include "ops/moe/moe.h"
#include "ops/router/router.h"

namespace hadal {
namespace {

ops::RouterScore router_score(ScoreFunc score_func) {
  switch (score_func) {
    case ScoreFunc::kSqrtSoftplus:
      return ops::RouterScore::kSqrtSoftplus;
    case ScoreFunc::kSigmoid:
      return ops::RouterScore::kSigmoid;
    case ScoreFunc::kSoftmax:
      return ops::RouterScore::kSoftmax;
  }
  return ops::RouterScore::kSqrtSoftplus;
}

// Every channel takes part in the router's logits, so a NaN or infinity anywhere in a token's activations shows here.
Result<void> check_finite(const float* logits, int64_t T, int64_t E, size_t layer, const Rows& rows) {
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t e = 0; e < E; ++e) {
      if (std::isfinite(logits[t * E + e])) continue;
      return Error{.code = ErrorCode::kCorrupt,
                   .what = "activations are not finite numbers",
                   .in = fmt::format("layer {}, position {}", layer, rows.positions[static_cast<size_t>(t)]),
                   .want = "finite router logits",
                   .found = fmt::format("{} for expert {}", logits[t * E + e], e),
                   .hint = "the weights may be damaged: `hadal inspect --verify MODEL` reads them all"};
    }
  }
  return {};
}

}  // namespace

Result<void> ForwardPass::Impl::feed_forward(size_t layer, const LayerDescription& layer_description,
                                             const LayerWeights& layer_weights, const Rows& rows, const float* in,
                                             StepObserver& observer) {
  const ModelDescription& d = description;
  const int64_t T = rows.T();
  norm_rows(in, layer_weights.ffn_norm, workspace.normed, T, d.hidden);
  Activations x(device, workspace, workspace.normed, T, d.hidden);
  if (layer_description.ffn == FfnKind::kDense) {
    dense_network(layer_weights, T, x);
    return {};
  }
  HADAL_TRY(route(layer, layer_description, layer_weights, rows, x, observer));
  experts(layer_weights, T, x);
  return {};
}

// Fills workspace.experts and workspace.expert_weights.
Result<void> ForwardPass::Impl::route(size_t layer, const LayerDescription& layer_description,
                                      const LayerWeights& layer_weights, const Rows& rows, Activations& x,
                                      StepObserver& observer) {
  const ModelDescription& d = description;
  const int64_t T = rows.T();
  // The router decides what is computed: float in every mode, as in the release.
  ops::linear(device, {.x = x.rounded(ops::ActivationRounding::kNone),
                       .w = layer_weights.gate,
                       .y = workspace.router_logits,
                       .y_stride = d.n_routed_experts});
  HADAL_TRY(check_finite(workspace.router_logits, T, d.n_routed_experts, layer, rows));
  const bool is_hash = layer_description.router == RouterKind::kHash;
  ops::router(device, {.logits = workspace.router_logits,
                       .bias = is_hash ? nullptr : layer_weights.gate_bias.data(),
                       .tid2eid = is_hash ? layer_weights.tid2eid.data() : nullptr,
                       .token_ids = rows.ids.data(),
                       .experts = workspace.experts,
                       .weights = workspace.expert_weights,
                       .T = T,
                       .E = d.n_routed_experts,
                       .K = d.n_experts_per_token,
                       .score = router_score(d.score_func),
                       .route_scale = static_cast<float>(d.route_scale),
                       .n_groups = d.n_expert_groups,
                       .n_limited_groups = d.n_limited_groups});
  if (observer.wants_layers()) {
    for (const RowSpan& span : rows.spans) {
      observer.experts(span.sequence, layer, span.position0, span.T,
                       workspace.experts + span.row0 * d.n_experts_per_token,
                       workspace.expert_weights + span.row0 * d.n_experts_per_token);
    }
  }
  return {};
}

// The chosen experts and the shared one.
void ForwardPass::Impl::experts(const LayerWeights& layer_weights, int64_t T, Activations& x) {
  const ModelDescription& d = description;
  const ops::ActivationRounding routed_rounding = rounding_for(layer_weights.experts.front().w1);
  const ops::ActivationRounding shared_rounding = rounding_for(layer_weights.shared.w1);
  ops::moe(device, {.x = x.rounded(routed_rounding),
                    .shared_x = x.rounded(shared_rounding),
                    .experts = workspace.experts,
                    .weights = workspace.expert_weights,
                    .routed = layer_weights.experts,
                    .shared = layer_weights.shared.w1.empty() ? nullptr : &layer_weights.shared,
                    .T = T,
                    .K = d.n_experts_per_token,
                    .C = d.hidden,
                    .I = d.moe_inter_dim,
                    .swiglu_limit = static_cast<float>(d.swiglu_limit),
                    .hidden_rounding = routed_rounding,
                    .shared_hidden_rounding = shared_rounding,
                    .y = workspace.sublayer_out,
                    .scratch = workspace.moe_scratch});
}

// A mixture of one expert, which every token chooses with weight 1.
void ForwardPass::Impl::dense_network(const LayerWeights& layer_weights, int64_t T, Activations& x) {
  const ModelDescription& d = description;
  std::fill_n(workspace.experts, T, 0);
  std::fill_n(workspace.expert_weights, T, 1.0f);
  const ops::ActivationRounding rounding = rounding_for(layer_weights.dense.w1);
  ops::moe(device, {.x = x.rounded(rounding),
                    .shared_x = {},
                    .experts = workspace.experts,
                    .weights = workspace.expert_weights,
                    .routed = {&layer_weights.dense, 1},
                    .shared = nullptr,
                    .T = T,
                    .K = 1,
                    .C = d.hidden,
                    .I = d.inter_dim,
                    .swiglu_limit = static_cast<float>(d.swiglu_limit),
                    .hidden_rounding = rounding,
                    .y = workspace.sublayer_out,
                    .scratch = workspace.moe_scratch});
}

}  // namespace hadal
