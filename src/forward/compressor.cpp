// A layer's compressor: projections of the new tokens, joined to the rows that wait in the tail, become entries.

#include <cstring>

#include "forward/forward_impl.h"
#include "ops/compress/compress.h"
#include "ops/rope/rope.h"

namespace hadal {
namespace {

// Where one compressor stands before a span's tokens: the first row is the first token of group `first_group`, or of
// the group before when the compressor overlaps and there is one.
struct Standing {
  int64_t first_group;
  int64_t n_pending;
  bool has_previous;
};

Standing standing_at(const CompressorLayout& layout, int64_t position) {
  const int64_t group = position / layout.ratio;
  return {.first_group = group, .n_pending = position % layout.ratio, .has_previous = layout.overlaps() && group > 0};
}

// K or Z rows of the previous group (first halves only), the pending rows and the new ones, one after the other.
void gather_rows(const CompressorLayout& layout, const Standing& at, const float* previous, const float* pending,
                 const float* fresh, int64_t T, float* rows) {
  const int64_t width = layout.width();
  if (at.has_previous) {
    for (int64_t r = 0; r < layout.ratio; ++r, rows += width) {
      std::memcpy(rows, previous + r * layout.d, static_cast<size_t>(layout.d) * sizeof(float));
    }
  }
  std::memcpy(rows, pending, static_cast<size_t>(at.n_pending * width) * sizeof(float));
  std::memcpy(rows + at.n_pending * width, fresh, static_cast<size_t>(T * width) * sizeof(float));
}

// The other way round: what the next step needs goes back into the tail.
void keep_rows(const CompressorLayout& layout, const Standing& at, const float* rows, int64_t T, float* previous,
               float* pending) {
  const int64_t width = layout.width();
  if (at.has_previous) rows += layout.ratio * width;
  const int64_t n_groups = (at.n_pending + T) / layout.ratio;
  const int64_t n_left = (at.n_pending + T) % layout.ratio;
  if (layout.overlaps() && n_groups > 0) {
    const float* last = rows + (n_groups - 1) * layout.ratio * width;
    for (int64_t r = 0; r < layout.ratio; ++r) {
      std::memcpy(previous + r * layout.d, last + r * width, static_cast<size_t>(layout.d) * sizeof(float));
    }
  }
  std::memcpy(pending, rows + n_groups * layout.ratio * width, static_cast<size_t>(n_left * width) * sizeof(float));
}

}  // namespace

void ForwardPass::Impl::compress(const CompressorWeights& compressor_weights, const RopeDescription& rope, size_t layer,
                                 bool is_index, const Rows& rows, Activations& x) {
  const StateLayout& state_layout = rows.spans.front().state->layout();
  const LayerLayout& layer_layout = state_layout.layers[layer];
  const CompressorLayout& layout = is_index ? layer_layout.index_compressor : layer_layout.compressor;
  const int64_t width = layout.width();
  apply(compressor_weights.wkv, x, workspace.compressor_k, width);
  apply(compressor_weights.wgate, x, workspace.compressor_z, width);

  const ops::EncodeRow encode_row = ops::encode_row_for(as_cpu(device).level());
  for (const RowSpan& span : rows.spans) {
    const Standing at = standing_at(layout, span.position0);
    float* previous = layout.overlaps() ? span.state->tail_floats(layout.previous_offset) : nullptr;
    float* pending = span.state->tail_floats(layout.pending_offset);
    const int64_t previous_floats = layout.ratio * layout.d;
    const int64_t pending_floats = (layout.ratio - 1) * width;
    gather_rows(layout, at, previous, pending, workspace.compressor_k + span.row0 * width, span.T,
                workspace.compressor_rows_k);
    gather_rows(layout, at, previous + previous_floats, pending + pending_floats,
                workspace.compressor_z + span.row0 * width, span.T, workspace.compressor_rows_z);
    keep_rows(layout, at, workspace.compressor_rows_k, span.T, previous, pending);
    keep_rows(layout, at, workspace.compressor_rows_z, span.T, previous + previous_floats, pending + pending_floats);

    const int64_t n_groups = (at.n_pending + span.T) / layout.ratio;
    for (int64_t g = 0; g < n_groups; ++g) {
      ops::rope_cos_sin(freqs_of(rope), (at.first_group + g) * layout.ratio,
                        workspace.entry_cos_sin + g * description.rope_head_dim);
    }
    ops::compress(device, {.k = workspace.compressor_rows_k,
                           .z = workspace.compressor_rows_z,
                           .ape = compressor_weights.ape.data(),
                           .gain = compressor_weights.norm.data(),
                           .cos_sin = workspace.entry_cos_sin,
                           .out = workspace.entries,
                           .m = layout.ratio,
                           .d = layout.d,
                           .coff = layout.coff,
                           .rope_dim = description.rope_head_dim,
                           .n_groups = n_groups,
                           .has_previous = at.has_previous,
                           .eps = static_cast<float>(description.rms_norm_eps)});
    const StateOptions& state_options = state_layout.options;
    const int64_t rope_dim = is_index ? 0 : description.rope_head_dim;
    ops::round_rows(device, {.x = workspace.entries,
                             .T = n_groups,
                             .D = layout.d,
                             .x_stride = layout.d,
                             .rope_dim = rope_dim,
                             .rounding = is_index ? state_options.index_rounding : state_options.kv_rounding});
    for (int64_t g = 0; g < n_groups; ++g) {
      const int64_t j = at.first_group + g;
      std::byte* slot = is_index ? span.state->index_slot(layer, j) : span.state->entry_slot(layer, j);
      encode_row(is_index ? state_options.index_format : state_options.kv_format, workspace.entries + g * layout.d,
                 layout.d, rope_dim, slot);
    }
  }
}

}  // namespace hadal
