// One attention sublayer with a window: queries from a latent, one shared K = V head, window and compressed entries,
// grouped output.

#include <algorithm>
#include <cmath>

#include "forward/forward_impl.h"
#include "ops/rope/rope.h"
#include "ops/sparse_attention/sparse_attention.h"
#include "ops/window_rows/window_rows.h"

namespace hadal {

Result<void> ForwardPass::Impl::attention(size_t layer, const LayerDescription& layer_description,
                                          const LayerWeights& layer_weights, const Rows& rows, Activations& x,
                                          StepObserver& observer) {
  const ModelDescription& d = description;
  const int64_t T = rows.T();
  const float* cos_sin = rows.cos_sin[inputs.rope_of(layer_description)];

  const bool is_choosing = layer_description.chooses_entries();
  std::vector<Product> products =
      key_products(layer, layer_description, layer_weights, rows.spans.front().state->layout());
  products.push_back({layer_weights.wq_a, workspace.q_latent, d.q_lora_rank});
  if (is_choosing) products.push_back({layer_weights.indexer.weights_proj, workspace.index_w, d.index_n_heads});
  apply(products, x);
  // Last of what reads x: index keys of CSA2 are made of latents, which are packed in its place.
  window_keys(layer, layer_description, layer_weights, rows, x);

  // Queries from the latent; in V4 per head normed without a gain.
  Activations latent = normed(workspace.q_latent, layer_weights.q_norm, workspace.q_latent, T, d.q_lora_rank,
                              rounding_for(layer_weights.wq_b));
  apply(layer_weights.wq_b, latent, workspace.q, d.n_heads * d.head_dim);
  if (d.has_query_norm) norm_rows(workspace.q, {}, workspace.q, T * d.n_heads, d.head_dim);
  ops::rope(device, {.x = workspace.q,
                     .T = T,
                     .H = d.n_heads,
                     .D = d.head_dim,
                     .t_stride = d.n_heads * d.head_dim,
                     .rope_dim = d.rope_head_dim,
                     .cos_sin = cos_sin,
                     .inverse = false});
  if (is_choosing) index_queries(layer_weights.indexer, layer_description, rows, latent);

  for (const std::span<const RowSpan> spans : batches_of(rows)) {
    HADAL_TRY(attend(layer, layer_description, layer_weights, rows, spans, observer));
  }

  ops::rope(device, {.x = workspace.attention_out,
                     .T = T,
                     .H = d.n_heads,
                     .D = d.head_dim,
                     .t_stride = d.n_heads * d.head_dim,
                     .rope_dim = d.rope_head_dim,
                     .cos_sin = cos_sin,
                     .inverse = true});
  Activations out(device, workspace, workspace.attention_out, T, d.n_heads * d.head_dim / d.o_groups, d.o_groups);
  const int64_t grouped = d.o_groups * d.o_lora_rank;
  // The release multiplies wo_a in BF16 without quantising its input.
  const ops::ActivationRounding rounding =
      options.mode == NumericMode::kFast ? rounding_for(layer_weights.wo_a) : ops::ActivationRounding::kNone;
  if (options.inputs != nullptr) out.show(layer_weights.wo_a, *options.inputs);
  ops::linear(device,
              {.x = out.rounded(rounding), .w = layer_weights.wo_a, .y = workspace.grouped_out, .y_stride = grouped});
  Activations low_rank(device, workspace, workspace.grouped_out, T, grouped);
  apply(layer_weights.wo_b, low_rank, workspace.sublayer_out, d.hidden);
  return {};
}

std::vector<ForwardPass::Impl::Product> ForwardPass::Impl::key_products(size_t layer,
                                                                        const LayerDescription& layer_description,
                                                                        const LayerWeights& layer_weights,
                                                                        const StateLayout& layout) {
  std::vector<Product> products = {{layer_weights.wkv, workspace.kv, description.head_dim}};
  if (!layer_description.makes_entries() || layer_description.attention == AttentionKind::kCsa2) return products;
  const auto add = [&](const CompressorWeights& compressor, float* k, float* z, int64_t width) {
    products.push_back({compressor.wkv, k, width});
    products.push_back({compressor.wgate, z, width});
  };
  const LayerLayout& of_layer = layout.layers[layer];
  add(layer_weights.compressor, workspace.compressor_k, workspace.compressor_z, of_layer.compressor.width());
  if (has_indexer(layer_description.attention)) {
    add(layer_weights.indexer.compressor, workspace.index_compressor_k, workspace.index_compressor_z,
        of_layer.index_compressor.width());
  }
  return products;
}

// Keys and values of new tokens, of which workspace.kv has the products, and the entries that they complete into the
// state. x [T, C] is the normed input.
void ForwardPass::Impl::window_keys(size_t layer, const LayerDescription& layer_description,
                                    const LayerWeights& layer_weights, const Rows& rows, Activations& x) {
  const ModelDescription& d = description;
  const int64_t T = rows.T();
  // Normed and rotated; rounding and storing follow per sequence.
  norm_rows(workspace.kv, layer_weights.kv_norm, workspace.kv, T, d.head_dim);
  ops::rope(device, {.x = workspace.kv,
                     .T = T,
                     .H = 1,
                     .D = d.head_dim,
                     .t_stride = d.head_dim,
                     .rope_dim = d.rope_head_dim,
                     .cos_sin = rows.cos_sin[inputs.rope_of(layer_description)],
                     .inverse = false});
  const StateOptions& state_options = rows.spans.front().state->layout().options;
  ops::round_rows(device, {.x = workspace.kv,
                           .T = T,
                           .D = d.head_dim,
                           .x_stride = d.head_dim,
                           .rope_dim = d.rope_head_dim,
                           .rounding = state_options.kv_rounding});

  // Entries that the new tokens complete are visible to them.
  if (!layer_description.makes_entries()) return;
  if (layer_description.attention == AttentionKind::kCsa2) {
    make_shared_entries(layer_weights, layer_description, layer, rows, x);
    return;
  }
  // In the release's order: the index first.
  const bool is_sparse = has_indexer(layer_description.attention);
  if (is_sparse) compress(layer_weights.indexer.compressor, layer_description, layer, true, rows);
  compress(layer_weights.compressor, layer_description, layer, false, rows);
}

// What window_keys left in workspace.kv, into the rings. With kWorkspace also into workspace.window_rows, each
// sequence's with the past before it, of at most ops::ops_of_batch sequences: where each one's rows are.
std::vector<const std::byte*> ForwardPass::Impl::store_keys(size_t layer, std::span<const RowSpan> spans,
                                                            WindowOut out) {
  const ModelDescription& d = description;
  std::vector<const std::byte*> places;
  std::vector<ops::WindowRows> windows;
  std::byte* to = out == WindowOut::kWorkspace ? workspace.window_rows : nullptr;
  for (const RowSpan& span : spans) {
    const StateLayout& layout = span.state->layout();
    windows.push_back({.kv = workspace.kv + span.row0 * d.head_dim,
                       .ring = span.state->window_ring(layer),
                       .rows = to,
                       .T = span.T,
                       .position0 = span.position0,
                       .window = d.window,
                       .D = d.head_dim,
                       .rope_dim = d.rope_head_dim,
                       .format = layout.options.kv_format,
                       .row_bytes = layout.kv_row_bytes});
    places.push_back(to);
    if (to != nullptr) to += (windows.back().n_past() + span.T) * layout.kv_row_bytes;
  }
  ops::window_rows(device, windows);
  return places;
}

// The attention of each sequence's rows over its window and its entries.
Result<void> ForwardPass::Impl::attend(size_t layer, const LayerDescription& layer_description,
                                       const LayerWeights& layer_weights, const Rows& rows,
                                       std::span<const RowSpan> spans, StepObserver& observer) {
  const ModelDescription& d = description;
  const bool has_entries = layer_description.compress_ratio > 0;
  const bool is_sparse = has_indexer(layer_description.attention);

  const std::vector<const std::byte*> windows = store_keys(layer, spans, WindowOut::kWorkspace);
  if (layer_description.chooses_entries()) HADAL_TRY(choose_entries(layer, layer_description, rows, spans, observer));

  const int64_t width = d.n_heads * d.head_dim;
  std::vector<ops::SparseAttention> attentions;
  for (size_t i = 0; i < spans.size(); ++i) {
    const RowSpan& span = spans[i];
    const StateLayout& layout = span.state->layout();
    const SpanGroups& groups = span.groups[inputs.kind_of(layer_description)];
    const int64_t row = rows.begin + span.row0;
    const int64_t entries_max = is_sparse ? std::min(d.index_topk, groups.visible_max) : groups.visible_max;
    attentions.push_back({.q = workspace.q + span.row0 * width,
                          .out = workspace.attention_out + span.row0 * width,
                          .sink = layer_weights.attn_sink.data(),
                          .T = span.T,
                          .H = d.n_heads,
                          .D = d.head_dim,
                          .value_dim = d.head_dim,
                          .rope_dim = d.rope_head_dim,
                          .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d.head_dim))),
                          .window = windows[i],
                          .window_row_bytes = layout.kv_row_bytes,
                          .format = layout.options.kv_format,
                          .window_begin = span.window_begin,
                          .window_n = span.window_n,
                          .entries = has_entries ? span.state->entries(layer, span.pages) : ops::PagedRows(),
                          .chosen = is_sparse ? workspace.chosen + row * d.index_topk : nullptr,
                          .chosen_stride = d.index_topk,
                          .n_chosen = is_sparse ? workspace.n_chosen + row : groups.visible,
                          .scratch = workspace.attention_scratch,
                          .rows_max = d.window + entries_max});
  }
  ops::sparse_attention(device, attentions);
  return {};
}

}  // namespace hadal
