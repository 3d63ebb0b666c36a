// A layer's compressor: projections of the new tokens, joined to the rows that wait in the tail, become entries.

#include "forward/forward_impl.h"
#include "ops/compress/compress.h"
#include "ops/compressor_rows/compressor_rows.h"

namespace hadal {

// What wkv and wgate left in k and z, joined to the rows that waited.
int64_t ForwardPass::Impl::pool_groups(const CompressorWeights& compressor_weights, const CompressorLayout& layout,
                                       size_t kind, const float* k, const float* z, std::span<const RowSpan> spans,
                                       Pooled pooled) {
  const int64_t width = layout.width();
  std::vector<ops::CompressorRows> joins;
  std::vector<ops::Compress> pools;
  float* joined_rows = workspace.compressor_rows;
  int64_t n_groups = 0;
  for (const RowSpan& span : spans) {
    const SpanGroups& groups = span.groups[kind];
    const ops::CompressorRows joined = {
        .fresh_k = k + span.row0 * width,
        .fresh_z = z + span.row0 * width,
        .previous = layout.overlaps() ? span.state->tail_floats(layout.previous_offset) : nullptr,
        .pending = span.state->tail_floats(layout.pending_offset),
        .rows = joined_rows,
        .T = span.T,
        .position0 = span.position0,
        .m = layout.ratio,
        .d = layout.d,
        .coff = layout.coff};
    joins.push_back(joined);
    if (groups.n == 0) continue;
    pools.push_back({.k = joined.rows,
                     .z = joined.rows + joined.n_rows() * width,
                     .ape = compressor_weights.ape.empty() ? nullptr : compressor_weights.ape.data(),
                     .gain = compressor_weights.norm.data(),
                     .cos_sin = groups.cos_sin,
                     .out = workspace.entries + n_groups * layout.d,
                     .m = layout.ratio,
                     .d = layout.d,
                     .coff = layout.coff,
                     .rope_dim = pooled == Pooled::kRotated ? description.rope_head_dim : 0,
                     .n_groups = groups.n,
                     .has_previous = joined.has_previous(),
                     .eps = static_cast<float>(description.rms_norm_eps)});
    joined_rows += 2 * joined.n_rows() * width;
    n_groups += groups.n;
  }
  ops::compressor_rows(device, joins);
  ops::compress(device, pools);
  return n_groups;
}

void ForwardPass::Impl::compress(const CompressorWeights& compressor_weights, const LayerDescription& layer_description,
                                 size_t layer, bool is_index, const Rows& rows) {
  const StateLayout& state_layout = rows.spans.front().state->layout();
  const LayerLayout& layer_layout = state_layout.layers[layer];
  const CompressorLayout& layout = is_index ? layer_layout.index_compressor : layer_layout.compressor;
  const StateOptions& state_options = state_layout.options;
  const int64_t rope_dim = is_index ? 0 : description.rope_head_dim;
  const size_t kind = inputs.kind_of(layer_description);
  const float* k = is_index ? workspace.index_compressor_k : workspace.compressor_k;
  const float* z = is_index ? workspace.index_compressor_z : workspace.compressor_z;

  for (const std::span<const RowSpan> spans : batches_of(rows)) {
    const int64_t n_groups = pool_groups(compressor_weights, layout, kind, k, z, spans, Pooled::kRotated);
    if (n_groups == 0) continue;
    ops::round_rows(device, {.x = workspace.entries,
                             .T = n_groups,
                             .D = layout.d,
                             .x_stride = layout.d,
                             .rope_dim = rope_dim,
                             .rounding = is_index ? state_options.index_rounding : state_options.entry_rounding});
    std::vector<ops::EncodeRows> stores;
    const float* entries = workspace.entries;
    for (const RowSpan& span : spans) {
      const SpanGroups& groups = span.groups[kind];
      stores.push_back(
          {.x = entries,
           .x_stride = layout.d,
           .to = is_index ? span.state->index_keys(layer, span.pages) : span.state->entries(layer, span.pages),
           .slots = groups.slots,
           .T = groups.n,
           .D = layout.d,
           .rope_dim = rope_dim});
      entries += groups.n * layout.d;
    }
    ops::encode_rows(device, stores);
  }
}

}  // namespace hadal
