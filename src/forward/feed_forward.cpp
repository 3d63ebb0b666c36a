// One feed-forward sublayer: router, routed experts and shared expert, or one dense network.

#include <fmt/format.h>

#include <cstring>

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

}  // namespace

Result<void> ForwardPass::Impl::feed_forward(size_t layer, const LayerDescription& layer_description,
                                             const LayerWeights& layer_weights, const Rows& rows, Activations& x,
                                             StepObserver& observer) {
  const int64_t T = rows.T();
  if (layer_description.ffn == FfnKind::kDense) {
    dense_network(layer_weights, rows, x);
    if (options.inputs != nullptr) observe_network(layer_weights.dense, workspace.normed, T);
    return {};
  }
  HADAL_TRY(route(layer, layer_description, layer_weights, rows, x, observer));
  experts(layer_weights, T, x);
  if (options.inputs != nullptr) observe_experts(layer_weights, T, workspace.normed);
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
  const bool is_hash = layer_description.router == RouterKind::kHash;
  ops::router(device, {.logits = workspace.router_logits,
                       .bias = is_hash ? nullptr : layer_weights.gate_bias.data(),
                       .tid2eid = is_hash ? layer_weights.tid2eid.data() : nullptr,
                       .token_ids = rows.ids_there,
                       .experts = workspace.experts,
                       .weights = workspace.expert_weights,
                       .T = T,
                       .E = d.n_routed_experts,
                       .K = d.n_experts_per_token,
                       .score = router_score(d.score_func),
                       .route_scale = static_cast<float>(d.route_scale),
                       .n_groups = d.n_expert_groups,
                       .n_limited_groups = d.n_limited_groups,
                       .not_finite = workspace.not_finite,
                       .place = (static_cast<int64_t>(layer) * options.tokens_max + rows.begin) * d.n_routed_experts});
  // Elsewhere the answer comes with the step's results: looking there for it would cost a wait in every layer.
  if (device.shares_host_memory()) HADAL_TRY(check_finite(rows));
  if (!observer.wants_layers()) return {};
  const int64_t K = d.n_experts_per_token;
  HADAL_ASSIGN(const auto chosen, HostView<int32_t>::of(device, workspace.experts, T * K));
  HADAL_ASSIGN(const auto chosen_weights, HostView<float>::of(device, workspace.expert_weights, T * K));
  for (const RowSpan& span : rows.spans) {
    observer.experts(span.sequence, layer, span.position0, span.T, chosen.data() + span.row0 * K,
                     chosen_weights.data() + span.row0 * K);
  }
  return {};
}

// Whether the router's logits were finite in all layers so far. rows: those of the layer where they may not have been.
Result<void> ForwardPass::Impl::check_finite(const Rows& rows) const {
  const int64_t place = not_finite_place();
  if (place == ops::kAllFinite) return {};
  const int64_t E = description.n_routed_experts;
  const int64_t t = place / E % options.tokens_max - rows.begin;
  return Error{
      .code = ErrorCode::kCorrupt,
      .what = "activations are not finite numbers",
      .in = fmt::format("layer {}, position {}", layer_of_place(place), rows.positions[static_cast<size_t>(t)]),
      .want = "finite router logits",
      .found = fmt::format("NaN or infinity for expert {}", place % E),
      .hint = "the weights may be damaged: `hadal inspect --verify MODEL` reads them all"};
}

Result<void> ForwardPass::Impl::check_finite(const StepRows& step) const {
  const int64_t place = not_finite_place();
  if (place == ops::kAllFinite) return {};
  const bool is_draft = layer_of_place(place) == static_cast<int64_t>(description.layers.size());
  return check_finite(is_draft ? step.draft : step.all());
}

int64_t ForwardPass::Impl::not_finite_place() const {
  int64_t place = 0;
  std::memcpy(&place, results.on_host(), sizeof place);
  return place;
}

int64_t ForwardPass::Impl::layer_of_place(int64_t place) const {
  return place / description.n_routed_experts / options.tokens_max;
}

// The chosen experts and the shared one.
void ForwardPass::Impl::experts(const LayerWeights& layer_weights, int64_t T, Activations& x) {
  const ModelDescription& d = description;
  const ExpertWeights& routed = layer_weights.experts.front();
  const ops::ActivationRounding routed_rounding = rounding_for(routed);
  const ops::ActivationRounding shared_rounding = rounding_for(layer_weights.shared);
  ops::moe(device, {.x = x.rounded(routed_rounding),
                    .shared_x = x.rounded(shared_rounding),
                    .experts = workspace.experts,
                    .weights = workspace.expert_weights,
                    .routed = layer_weights.networks(),
                    .routed_on_gpu = layer_weights.networks_on_device,
                    .shared = layer_weights.shared.w1.empty() ? nullptr : &layer_weights.shared,
                    .T = T,
                    .K = d.n_experts_per_token,
                    .C = d.hidden,
                    .I = d.moe_inter_dim,
                    .swiglu_limit = static_cast<float>(d.swiglu_limit),
                    .hidden_rounding = rounding_for(routed.w2),
                    .shared_hidden_rounding = rounding_for(layer_weights.shared.w2),
                    .y = workspace.sublayer_out,
                    .scratch = workspace.moe_scratch});
}

// A mixture of one expert, which every token chooses with weight 1.
void ForwardPass::Impl::dense_network(const LayerWeights& layer_weights, const Rows& rows, Activations& x) {
  const ModelDescription& d = description;
  const ops::ActivationRounding rounding = rounding_for(layer_weights.dense);
  ops::moe(device, {.x = x.rounded(rounding),
                    .shared_x = {},
                    .experts = rows.zeros,
                    .weights = rows.ones,
                    .routed = layer_weights.networks(),
                    .routed_on_gpu = layer_weights.networks_on_device,
                    .shared = nullptr,
                    .T = rows.T(),
                    .K = 1,
                    .C = d.hidden,
                    .I = d.inter_dim,
                    .swiglu_limit = static_cast<float>(d.swiglu_limit),
                    .hidden_rounding = rounding_for(layer_weights.dense.w2),
                    .y = workspace.sublayer_out,
                    .scratch = workspace.moe_scratch});
}

}  // namespace hadal
