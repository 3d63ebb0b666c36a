// The lightning indexer: what new tokens ask of index keys, the keys of positions, and the choice.
//
//   q = Wq_b^I q_latent, rotated;  w = W_w x index_n_heads^-1/2 index_head_dim^-1/2
//   kCsa2: keys come from the latents of entries (shared_entries.cpp)
//   kDsa: k = layer_norm(Wk^I x), rotated, one per position;  kCsa: keys come from a compressor (compressor.cpp)
//
// DSA rotates the first channels of queries and keys by halves, CSA the last ones in pairs. Source: Indexer of the V3.2
// release's inference/model.py in its corrected form (the first one rotated pairs), and of V4's.

#include <cmath>

#include "forward/forward_impl.h"
#include "ops/index_select/index_select.h"
#include "ops/layer_norm/layer_norm.h"
#include "ops/rope/rope.h"

namespace hadal {
namespace {

// LayerNorm of the release's Indexer; no config names it.
constexpr float kKeyNormEps = 1e-6f;

ops::RopeLayout rope_layout(AttentionKind kind) {
  return kind == AttentionKind::kDsa ? ops::RopeLayout::kHalvesFirst : ops::RopeLayout::kPairsLast;
}

}  // namespace

// latent [T, q_lora_rank] is the normed query latent.
void ForwardPass::Impl::index_queries(const IndexerWeights& indexer, const LayerDescription& layer_description,
                                      const Rows& rows, Activations& latent) {
  const ModelDescription& d = description;
  const int64_t T = rows.T();
  const int64_t width = d.index_n_heads * d.index_head_dim;
  apply(indexer.wq_b, latent, workspace.index_q, width);
  ops::rope(device, {.x = workspace.index_q,
                     .T = T,
                     .H = d.index_n_heads,
                     .D = d.index_head_dim,
                     .t_stride = width,
                     .rope_dim = d.rope_head_dim,
                     .cos_sin = rows.cos_sin[inputs.rope_of(layer_description)],
                     .inverse = false,
                     .layout = rope_layout(layer_description.attention)});
  ops::round_rows(device, {.x = workspace.index_q,
                           .T = T * d.index_n_heads,
                           .D = d.index_head_dim,
                           .x_stride = d.index_head_dim,
                           .rope_dim = 0,
                           .rounding = rows.spans.front().state->layout().options.index_rounding});
}

// Also of tokens that see fewer positions than they may choose: later ones will ask for their keys.
void ForwardPass::Impl::store_index_keys(size_t layer, const LayerDescription& layer_description,
                                         const IndexerWeights& indexer, const Rows& rows, Activations& x) {
  const int64_t D = description.index_head_dim;
  const StateOptions& state_options = rows.spans.front().state->layout().options;
  apply(indexer.wk, x, workspace.index_k, D);
  ops::layer_norm(device, {.x = workspace.index_k,
                           .gain = indexer.k_norm.data(),
                           .bias = indexer.k_norm_bias.data(),
                           .T = rows.T(),
                           .C = D,
                           .eps = kKeyNormEps});
  ops::rope(device, {.x = workspace.index_k,
                     .T = rows.T(),
                     .H = 1,
                     .D = D,
                     .t_stride = D,
                     .rope_dim = description.rope_head_dim,
                     .cos_sin = rows.cos_sin[inputs.rope_of(layer_description)],
                     .inverse = false,
                     .layout = rope_layout(layer_description.attention)});
  ops::round_rows(device, {.x = workspace.index_k,
                           .T = rows.T(),
                           .D = D,
                           .x_stride = D,
                           .rope_dim = 0,
                           .rounding = state_options.index_rounding});
  for (const RowSpan& span : rows.spans) {
    ops::encode_rows(device, {.x = workspace.index_k + span.row0 * D,
                              .x_stride = D,
                              .to = span.state->index_keys(layer, span.pages),
                              .slots = span.groups[inputs.kind_of(layer_description)].slots,
                              .T = span.T,
                              .D = D,
                              .rope_dim = 0});
  }
}

// Into workspace.chosen and workspace.n_chosen, by rows of the step: later layers may take the same choice.
Result<void> ForwardPass::Impl::choose_entries(size_t layer, const LayerDescription& layer_description,
                                               const Rows& rows, std::span<const RowSpan> spans,
                                               StepObserver& observer) {
  const ModelDescription& d = description;
  const bool makes_blocks = layer_description.candidates == CandidateRole::kMakes;
  const bool takes_blocks = layer_description.candidates == CandidateRole::kTakes;
  const bool wants_scores = observer.wants_layers() && workspace.index_scores_stride > 0;
  const int64_t stride = workspace.index_scores_stride;
  std::vector<ops::IndexSelect> selections;
  for (const RowSpan& span : spans) {
    const SpanGroups& groups = span.groups[inputs.kind_of(layer_description)];
    const int64_t row0 = span.row0;
    const int64_t step_row = rows.begin + row0;
    int32_t* blocks = workspace.candidates + step_row * d.candidate_topk_blocks;
    int64_t* n_blocks = workspace.n_candidates + step_row;
    selections.push_back(
        {.q = workspace.index_q + row0 * d.index_n_heads * d.index_head_dim,
         .w = workspace.index_w + row0 * d.index_n_heads,
         .w_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d.index_head_dim * d.index_n_heads))),
         .keys = span.state->index_keys(layer, span.pages),
         .visible = groups.visible,
         .chosen = workspace.chosen + step_row * d.index_topk,
         .n_chosen = workspace.n_chosen + step_row,
         .scores = wants_scores ? workspace.index_scores + row0 * stride : nullptr,
         .scores_stride = stride,
         .T = span.T,
         .H = d.index_n_heads,
         .D = d.index_head_dim,
         .topk = d.index_topk,
         .block_size = d.candidate_block_size,
         .topk_blocks = d.candidate_topk_blocks,
         .best_blocks = makes_blocks ? blocks : nullptr,
         .n_best_blocks = makes_blocks ? n_blocks : nullptr,
         .in_blocks = takes_blocks ? blocks : nullptr,
         .n_in_blocks = takes_blocks ? n_blocks : nullptr,
         .visible_max = groups.visible_max,
         .scratch = workspace.index_scratch});
  }
  ops::index_select(device, selections);
  if (!wants_scores) return {};
  for (const RowSpan& span : spans) HADAL_TRY(observe_choice(layer, layer_description, rows, span, observer));
  return {};
}

// The scores and the choice of one sequence's rows, to an observer.
Result<void> ForwardPass::Impl::observe_choice(size_t layer, const LayerDescription& layer_description,
                                               const Rows& rows, const RowSpan& span, StepObserver& observer) const {
  const int64_t topk = description.index_topk;
  const int64_t stride = workspace.index_scores_stride;
  const int64_t step_row = rows.begin + span.row0;
  const SpanGroups& groups = span.groups[inputs.kind_of(layer_description)];
  HADAL_ASSIGN(const auto chosen, HostView<int32_t>::of(device, workspace.chosen + step_row * topk, span.T * topk));
  HADAL_ASSIGN(const auto n_chosen, HostView<int64_t>::of(device, workspace.n_chosen + step_row, span.T));
  HADAL_ASSIGN(const auto visible, HostView<int64_t>::of(device, groups.visible, span.T));
  HADAL_ASSIGN(const auto scores,
               HostView<float>::of(device, workspace.index_scores + span.row0 * stride, span.T * stride));
  for (int64_t t = 0; t < span.T; ++t) {
    observer.index(span.sequence, layer, span.position0 + t,
                   {chosen.data() + t * topk, static_cast<size_t>(n_chosen.data()[t])},
                   {scores.data() + t * stride, static_cast<size_t>(visible.data()[t])});
  }
  return {};
}

}  // namespace hadal
