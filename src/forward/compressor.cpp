// A layer's compressor: projections of the new tokens, joined to the rows that wait in the tail, become entries.

#include "forward/forward_impl.h"
#include "ops/compress/compress.h"
#include "ops/compressor_rows/compressor_rows.h"

namespace hadal {

void ForwardPass::Impl::compress(const CompressorWeights& compressor_weights, const LayerDescription& layer_description,
                                 size_t layer, bool is_index, const Rows& rows, Activations& x) {
  const StateLayout& state_layout = rows.spans.front().state->layout();
  const LayerLayout& layer_layout = state_layout.layers[layer];
  const CompressorLayout& layout = is_index ? layer_layout.index_compressor : layer_layout.compressor;
  const StateOptions& state_options = state_layout.options;
  const int64_t rope_dim = is_index ? 0 : description.rope_head_dim;
  const int64_t width = layout.width();
  apply(compressor_weights.wkv, x, workspace.compressor_k, width);
  apply(compressor_weights.wgate, x, workspace.compressor_z, width);

  for (const RowSpan& span : rows.spans) {
    const ops::CompressorRows joined = {
        .fresh_k = workspace.compressor_k + span.row0 * width,
        .fresh_z = workspace.compressor_z + span.row0 * width,
        .previous = layout.overlaps() ? span.state->tail_floats(layout.previous_offset) : nullptr,
        .pending = span.state->tail_floats(layout.pending_offset),
        .rows = workspace.compressor_rows,
        .T = span.T,
        .position0 = span.position0,
        .m = layout.ratio,
        .d = layout.d,
        .coff = layout.coff};
    ops::compressor_rows(device, joined);
    const SpanGroups& groups = span.groups[inputs.kind_of(layer_description)];
    if (groups.n == 0) continue;
    ops::compress(device, {.k = joined.rows,
                           .z = joined.rows + joined.n_rows() * width,
                           .ape = compressor_weights.ape.data(),
                           .gain = compressor_weights.norm.data(),
                           .cos_sin = groups.cos_sin,
                           .out = workspace.entries,
                           .m = layout.ratio,
                           .d = layout.d,
                           .coff = layout.coff,
                           .rope_dim = description.rope_head_dim,
                           .n_groups = groups.n,
                           .has_previous = joined.has_previous(),
                           .eps = static_cast<float>(description.rms_norm_eps)});
    ops::round_rows(device, {.x = workspace.entries,
                             .T = groups.n,
                             .D = layout.d,
                             .x_stride = layout.d,
                             .rope_dim = rope_dim,
                             .rounding = is_index ? state_options.index_rounding : state_options.kv_rounding});
    ops::encode_rows(
        device, {.x = workspace.entries,
                 .x_stride = layout.d,
                 .to = is_index ? span.state->index_keys(layer, span.pages) : span.state->entries(layer, span.pages),
                 .slots = groups.slots,
                 .T = groups.n,
                 .D = layout.d,
                 .rope_dim = rope_dim});
  }
}

}  // namespace hadal
