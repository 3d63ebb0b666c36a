// The entries of CSA2, which a layer makes for itself and for later ones, and their index keys.
//
//   latent of group j = rms_norm(sum_r softmax_r(Wgate x) Wkv x)      two positions; of one: rms_norm(Wkv x)
//   index key j = rope(rms_norm(Wk latent), j ratio), rounded
//   entry j     = rope(latent, j ratio), rounded
//
// Both rotate the last channels in pairs. The key is made of the latent before it is rotated. Source: Compressor and
// Indexer of the V4.1 release's inference/model.py.

#include "forward/forward_impl.h"
#include "ops/rope/rope.h"

namespace hadal {

void ForwardPass::Impl::make_shared_entries(const LayerWeights& layer_weights,
                                            const LayerDescription& layer_description, size_t layer, const Rows& rows,
                                            Activations& x) {
  const ModelDescription& d = description;
  const CompressorWeights& compressor_weights = layer_weights.compressor;
  const IndexerWeights& indexer = layer_weights.indexer;
  const StateLayout& state_layout = rows.spans.front().state->layout();
  const StateOptions& state_options = state_layout.options;
  const bool has_gate = layer_description.compress_ratio > 1;
  apply(compressor_weights.wkv, x, workspace.compressor_k, d.head_dim);
  if (has_gate) apply(compressor_weights.wgate, x, workspace.compressor_z, d.head_dim);

  const auto rotate = [&](float* to, int64_t D, const SpanGroups& groups) {
    ops::rope(device, {.x = to,
                       .T = groups.n,
                       .H = 1,
                       .D = D,
                       .t_stride = D,
                       .rope_dim = d.rope_head_dim,
                       .cos_sin = groups.cos_sin,
                       .inverse = false});
  };
  const auto store = [&](float* from, int64_t D, const SpanGroups& groups, ops::KvRounding rounding,
                         const ops::PagedRows& to) {
    ops::round_rows(device, {.x = from, .T = groups.n, .D = D, .x_stride = D, .rope_dim = 0, .rounding = rounding});
    ops::encode_rows(device, {.x = from,
                              .x_stride = D,
                              .to = to,
                              .slots = groups.slots,
                              .T = groups.n,
                              .D = D,
                              .rope_dim = to.format == ops::KvFormat::kFp8 ? d.rope_head_dim : 0});
  };

  for (const RowSpan& span : rows.spans) {
    const SpanGroups& groups = span.groups[inputs.kind_of(layer_description)];
    if (has_gate) {
      pool_groups(compressor_weights, state_layout.layers[layer].compressor, inputs.kind_of(layer_description),
                  workspace.compressor_k, workspace.compressor_z, {&span, 1}, Pooled::kLatent);
    } else {
      norm_rows(workspace.compressor_k + span.row0 * d.head_dim, compressor_weights.norm, workspace.entries, span.T,
                d.head_dim);
    }
    if (groups.n == 0) continue;
    Activations latents(device, workspace, workspace.entries, groups.n, d.head_dim);
    apply(indexer.wk, latents, workspace.entry_keys, d.index_head_dim);
    norm_rows(workspace.entry_keys, indexer.k_norm, workspace.entry_keys, groups.n, d.index_head_dim);
    rotate(workspace.entry_keys, d.index_head_dim, groups);
    store(workspace.entry_keys, d.index_head_dim, groups, state_options.index_rounding,
          span.state->index_keys(layer, span.pages));
    rotate(workspace.entries, d.head_dim, groups);
    store(workspace.entries, d.head_dim, groups, state_options.entry_rounding, span.state->entries(layer, span.pages));
  }
}

}  // namespace hadal
