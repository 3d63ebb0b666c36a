// One sublayer of multi-head latent attention, in absorbed form: a position is cached as a latent that serves all heads
// as key and value, and as the rotated channels of their one key.
//
//   [c | k_rope] = Wkv_a x;  c = rms_norm(c);  k_rope rotated                   cached row
//   [q_nope | q_rope]_h = (Wq_b rms_norm(Wq_a x))_h;  q_rope rotated
//   z_h = sum_s softmax_s(scale [W_UK_h^T q_nope | q_rope]_h . [c | k_rope]_s) c_s
//   y = W_o [W_UV_h z_h]_h,   scale = qk_head_dim^-1/2 mscale^2
//
// With an indexer (DSA) s runs over the positions that it chooses (indexer.cpp).
//
// Source: MLA of V3's inference/model.py with attn_impl "absorb", for prefill as for decode: one order of sums.

#include <cmath>

#include "forward/forward_impl.h"
#include "ops/mla_absorb/mla_absorb.h"
#include "ops/mla_expand/mla_expand.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/rope/rope.h"
#include "ops/sparse_attention/sparse_attention.h"

namespace hadal {

Result<void> ForwardPass::Impl::latent_attention(size_t layer, const LayerDescription& layer_description,
                                                 const LayerWeights& layer_weights, const Rows& rows, Activations& x,
                                                 StepObserver& observer) {
  const ModelDescription& d = description;
  const int64_t T = rows.T();
  const float* cos_sin = rows.cos_sin[inputs.rope_of(layer_description)];

  latent_keys(layer, layer_description, layer_weights, rows, x);
  const bool is_sparse = has_indexer(layer_description.attention);
  if (is_sparse) apply(layer_weights.indexer.weights_proj, x, workspace.index_w, d.index_n_heads);
  apply(layer_weights.wq_a, x, workspace.q_latent, d.q_lora_rank);

  // Queries, then what they ask of latents.
  Activations latent = normed(workspace.q_latent, layer_weights.q_norm, workspace.q_latent, T, d.q_lora_rank,
                              rounding_for(layer_weights.wq_b));
  const int64_t q_width = d.n_heads * d.qk_head_dim();
  apply(layer_weights.wq_b, latent, workspace.q, q_width);
  ops::rope(device, {.x = workspace.q,
                     .T = T,
                     .H = d.n_heads,
                     .D = d.qk_head_dim(),
                     .t_stride = q_width,
                     .rope_dim = d.rope_head_dim,
                     .cos_sin = cos_sin,
                     .inverse = false});
  ops::mla_absorb(device, {.q = workspace.q,
                           .wkv_b = layer_weights.wkv_b,
                           .y = workspace.q_absorbed,
                           .T = T,
                           .H = d.n_heads,
                           .nope_dim = d.qk_nope_head_dim,
                           .rope_dim = d.rope_head_dim,
                           .value_dim = d.v_head_dim,
                           .latent_dim = d.kv_lora_rank});

  if (is_sparse) index_queries(layer_weights.indexer, layer_description, rows, latent);

  for (const RowSpan& span : rows.spans) HADAL_TRY(attend_latents(layer, layer_description, rows, span, observer));

  // Sums of latents to values. The release folds wkv_b into the attention, dequantised: nothing is rounded before it.
  Activations sums(device, workspace, workspace.attention_out, T, d.kv_lora_rank, d.n_heads);
  const ops::ActivationRounding rounding =
      options.mode == NumericMode::kFast ? rounding_for(layer_weights.wkv_b) : ops::ActivationRounding::kNone;
  ops::mla_expand(device, {.z = sums.rounded(rounding),
                           .wkv_b = layer_weights.wkv_b,
                           .y = workspace.values,
                           .H = d.n_heads,
                           .nope_dim = d.qk_nope_head_dim,
                           .value_dim = d.v_head_dim});
  Activations values(device, workspace, workspace.values, T, d.n_heads * d.v_head_dim);
  apply(layer_weights.wo, values, workspace.sublayer_out, d.hidden);
  return {};
}

// Latents of new tokens, and what the indexer looks for, into the state. x [T, C] is the normed input.
void ForwardPass::Impl::latent_keys(size_t layer, const LayerDescription& layer_description,
                                    const LayerWeights& layer_weights, const Rows& rows, Activations& x) {
  const ModelDescription& d = description;
  const int64_t T = rows.T();
  const int64_t row_dim = d.kv_row_dim();
  apply(layer_weights.wkv_a, x, workspace.kv, row_dim);

  // Rows of the cache: the latent is normed, the channels behind it are rotated and have no norm.
  ops::rms_norm(device, {.x = workspace.kv,
                         .gain = layer_weights.kv_norm.data(),
                         .y = workspace.kv,
                         .T = T,
                         .C = d.kv_lora_rank,
                         .x_stride = row_dim,
                         .y_stride = row_dim,
                         .eps = static_cast<float>(d.rms_norm_eps)});
  ops::rope(device, {.x = workspace.kv,
                     .T = T,
                     .H = 1,
                     .D = row_dim,
                     .t_stride = row_dim,
                     .rope_dim = d.rope_head_dim,
                     .cos_sin = rows.cos_sin[inputs.rope_of(layer_description)],
                     .inverse = false});
  store_latents(layer, layer_description, rows);
  if (has_indexer(layer_description.attention)) {
    store_index_keys(layer, layer_description, layer_weights.indexer, rows, x);
  }
}

// Rounded and encoded into the pages: visible to the new tokens themselves.
void ForwardPass::Impl::store_latents(size_t layer, const LayerDescription& layer_description, const Rows& rows) {
  const int64_t row_dim = description.kv_row_dim();
  const StateOptions& state_options = rows.spans.front().state->layout().options;
  ops::round_rows(device, {.x = workspace.kv,
                           .T = rows.T(),
                           .D = row_dim,
                           .x_stride = row_dim,
                           .rope_dim = description.rope_head_dim,
                           .rounding = state_options.kv_rounding});
  for (const RowSpan& span : rows.spans) {
    ops::encode_rows(device, {.x = workspace.kv + span.row0 * row_dim,
                              .x_stride = row_dim,
                              .to = span.state->entries(layer, span.pages),
                              .slots = span.groups[inputs.kind_of(layer_description)].slots,
                              .T = span.T,
                              .D = row_dim,
                              .rope_dim = description.rope_head_dim});
  }
}

// The attention of one sequence's rows over all positions up to their own, or those that the indexer chooses of them.
Result<void> ForwardPass::Impl::attend_latents(size_t layer, const LayerDescription& layer_description,
                                               const Rows& rows, const RowSpan& span, StepObserver& observer) {
  const ModelDescription& d = description;
  const SpanGroups& groups = span.groups[inputs.kind_of(layer_description)];
  const bool is_sparse = has_indexer(layer_description.attention);
  if (is_sparse) HADAL_TRY(choose_entries(layer, layer_description, rows, {&span, 1}, observer));
  const int64_t row = rows.begin + span.row0;
  const double mscale = layer_description.rope.mscale();
  const double scale = mscale * mscale / std::sqrt(static_cast<double>(d.qk_head_dim()));
  ops::sparse_attention(device, {.q = workspace.q_absorbed + span.row0 * d.n_heads * d.kv_row_dim(),
                                 .out = workspace.attention_out + span.row0 * d.n_heads * d.kv_lora_rank,
                                 .sink = nullptr,
                                 .T = span.T,
                                 .H = d.n_heads,
                                 .D = d.kv_row_dim(),
                                 .value_dim = d.kv_lora_rank,
                                 .rope_dim = d.rope_head_dim,
                                 .scale = static_cast<float>(scale),
                                 .format = span.state->layout().options.kv_format,
                                 .entries = span.state->entries(layer, span.pages),
                                 .chosen = is_sparse ? workspace.chosen + row * d.index_topk : nullptr,
                                 .chosen_stride = d.index_topk,
                                 .n_chosen = is_sparse ? workspace.n_chosen + row : groups.visible,
                                 .scratch = workspace.attention_scratch,
                                 .rows_max = workspace.attention_rows_max});
  return {};
}

}  // namespace hadal
