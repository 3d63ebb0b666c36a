// One attention sublayer with a window: queries from a latent, one shared K = V head, window and compressed entries,
// grouped output.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "forward/forward_impl.h"
#include "ops/rope/rope.h"
#include "ops/sparse_attention/sparse_attention.h"

namespace hadal {

void ForwardPass::Impl::attention(size_t layer, const LayerDescription& layer_description,
                                  const LayerWeights& layer_weights, const Rows& rows, const float* in,
                                  StepObserver& observer) {
  const ModelDescription& d = description;
  const int64_t T = rows.T();
  const float* cos_sin = cos_sin_of(layer_description.rope);

  norm_rows(in, layer_weights.attn_norm, workspace.normed, T, d.hidden);
  Activations x(device, workspace, workspace.normed, T, d.hidden);
  window_keys(layer, layer_description, layer_weights, rows, x);
  const bool is_sparse = has_indexer(layer_description.attention);
  if (is_sparse) index_weights(layer_weights.indexer, T, x);
  apply(layer_weights.wq_a, x, workspace.q_latent, d.q_lora_rank);

  // Queries from the latent; per head normed without a gain.
  norm_rows(workspace.q_latent, layer_weights.q_norm, workspace.q_latent, T, d.q_lora_rank);
  Activations latent(device, workspace, workspace.q_latent, T, d.q_lora_rank);
  apply(layer_weights.wq_b, latent, workspace.q, d.n_heads * d.head_dim);
  norm_rows(workspace.q, {}, workspace.q, T * d.n_heads, d.head_dim);
  ops::rope(device, {.x = workspace.q,
                     .T = T,
                     .H = d.n_heads,
                     .D = d.head_dim,
                     .t_stride = d.n_heads * d.head_dim,
                     .rope_dim = d.rope_head_dim,
                     .cos_sin = cos_sin,
                     .inverse = false});
  if (is_sparse) index_queries(layer_weights.indexer, layer_description, rows, latent);

  for (const RowSpan& span : rows.spans) attend(layer, layer_description, layer_weights, span, observer);

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
  ops::linear(device,
              {.x = out.rounded(rounding), .w = layer_weights.wo_a, .y = workspace.grouped_out, .y_stride = grouped});
  Activations low_rank(device, workspace, workspace.grouped_out, T, grouped);
  apply(layer_weights.wo_b, low_rank, workspace.sublayer_out, d.hidden);
}

// Keys and values of new tokens into workspace.kv, the entries that they complete into the state. x [T, C] is the
// normed input.
void ForwardPass::Impl::window_keys(size_t layer, const LayerDescription& layer_description,
                                    const LayerWeights& layer_weights, const Rows& rows, Activations& x) {
  const ModelDescription& d = description;
  const int64_t T = rows.T();
  apply(layer_weights.wkv, x, workspace.kv, d.head_dim);
  // Normed and rotated; rounding and storing follow per sequence.
  norm_rows(workspace.kv, layer_weights.kv_norm, workspace.kv, T, d.head_dim);
  ops::rope(device, {.x = workspace.kv,
                     .T = T,
                     .H = 1,
                     .D = d.head_dim,
                     .t_stride = d.head_dim,
                     .rope_dim = d.rope_head_dim,
                     .cos_sin = cos_sin_of(layer_description.rope),
                     .inverse = false});
  const StateOptions& state_options = rows.spans.front().state->layout().options;
  ops::round_rows(device, {.x = workspace.kv,
                           .T = T,
                           .D = d.head_dim,
                           .x_stride = d.head_dim,
                           .rope_dim = d.rope_head_dim,
                           .rounding = state_options.kv_rounding});

  // Compressors, in the release's order: the index first. Entries that the new tokens complete are visible to them.
  const bool is_sparse = has_indexer(layer_description.attention);
  if (is_sparse) compress(layer_weights.indexer.compressor, layer_description.rope, layer, true, rows, x);
  if (layer_description.compress_ratio > 0) {
    compress(layer_weights.compressor, layer_description.rope, layer, false, rows, x);
  }
}

// What window_keys left in workspace.kv, for rows that nobody asks: straight into the ring.
void ForwardPass::Impl::store_keys(size_t layer, const Rows& rows) {
  const ModelDescription& d = description;
  const ops::EncodeRow encode_row = ops::encode_row_for(as_cpu(device).level());
  for (const RowSpan& span : rows.spans) {
    for (int64_t t = std::max<int64_t>(0, span.T - d.window); t < span.T; ++t) {
      encode_row(span.state->layout().options.kv_format, workspace.kv + (span.row0 + t) * d.head_dim, d.head_dim,
                 d.rope_head_dim, span.state->window_slot(layer, span.position0 + t));
    }
  }
}

// The attention of one sequence's rows over its window and its entries.
void ForwardPass::Impl::attend(size_t layer, const LayerDescription& layer_description,
                               const LayerWeights& layer_weights, const RowSpan& span, StepObserver& observer) {
  const ModelDescription& d = description;
  const StateLayout& layout = span.state->layout();
  const int64_t row0 = span.row0;

  // The window as one run of rows: what the ring holds of the past, then the new tokens.
  const int64_t first = std::max<int64_t>(0, span.position0 - (d.window - 1));
  std::byte* rows = workspace.window_rows;
  for (int64_t p = first; p < span.position0; ++p) {
    std::memcpy(rows + (p - first) * layout.kv_row_bytes, span.state->window_slot(layer, p),
                static_cast<size_t>(layout.kv_row_bytes));
  }
  const ops::EncodeRow encode_row = ops::encode_row_for(as_cpu(device).level());
  as_cpu(device).pool().for_slices(span.T, 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      encode_row(layout.options.kv_format, workspace.kv + (row0 + t) * d.head_dim, d.head_dim, d.rope_head_dim,
                 rows + (span.position0 + t - first) * layout.kv_row_bytes);
    }
  });
  store_window(layer, span, first);

  const int64_t ratio = layer_description.compress_ratio;
  for (int64_t t = 0; t < span.T; ++t) {
    const int64_t position = span.position0 + t;
    const int64_t oldest = std::max<int64_t>(0, position - (d.window - 1));
    workspace.window_begin[t] = oldest - first;
    workspace.window_n[t] = position - oldest + 1;
    workspace.visible[t] = ratio > 0 ? (position + 1) / ratio : 0;
    workspace.n_chosen[t] = workspace.visible[t];
  }

  const bool is_sparse = has_indexer(layer_description.attention);
  if (is_sparse) choose_entries(layer, span, observer);

  const int64_t width = d.n_heads * d.head_dim;
  ops::sparse_attention(device, {.q = workspace.q + row0 * width,
                                 .out = workspace.attention_out + row0 * width,
                                 .sink = layer_weights.attn_sink.data(),
                                 .T = span.T,
                                 .H = d.n_heads,
                                 .D = d.head_dim,
                                 .value_dim = d.head_dim,
                                 .rope_dim = d.rope_head_dim,
                                 .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d.head_dim))),
                                 .window = rows,
                                 .window_row_bytes = layout.kv_row_bytes,
                                 .format = layout.options.kv_format,
                                 .window_begin = workspace.window_begin,
                                 .window_n = workspace.window_n,
                                 .entries = ratio > 0 ? span.state->entries(layer) : ops::PagedRows(),
                                 .chosen = is_sparse ? workspace.chosen : nullptr,
                                 .chosen_stride = d.index_topk,
                                 .n_chosen = ratio > 0 ? workspace.n_chosen : nullptr,
                                 .scratch = workspace.attention_scratch,
                                 .rows_max = workspace.attention_rows_max});
}

void ForwardPass::Impl::store_window(size_t layer, const RowSpan& span, int64_t first_row_position) {
  const StateLayout& layout = span.state->layout();
  const int64_t end = span.position0 + span.T;
  for (int64_t p = std::max(span.position0, end - description.window); p < end; ++p) {
    std::memcpy(span.state->window_slot(layer, p),
                workspace.window_rows + (p - first_row_position) * layout.kv_row_bytes,
                static_cast<size_t>(layout.kv_row_bytes));
  }
}

}  // namespace hadal
