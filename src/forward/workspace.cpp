#include "forward/workspace.h"

#include <algorithm>

#include "ops/index_select/index_select.h"
#include "ops/linear/linear.h"
#include "ops/moe/moe.h"
#include "ops/sparse_attention/sparse_attention.h"
#include "state/state_layout.h"

namespace hadal {
namespace {

class Bump {
 public:
  explicit Bump(std::byte* base) : base_(base) {}

  template <class T>
  void take(T*& pointer, int64_t count) {
    pointer = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + next_);
    next_ += (static_cast<uint64_t>(count) * sizeof(T) + 255) / 256 * 256;
    largest_ = std::max(largest_, next_);
  }
  uint64_t mark() const { return next_; }
  void rewind(uint64_t mark) { next_ = mark; }
  uint64_t largest() const { return largest_; }

 private:
  std::byte* base_;
  uint64_t next_ = 0;
  uint64_t largest_ = 0;
};

int64_t padded(int64_t k) {
  return (k + 63) / 64 * 64;
}

// Activations that a linear reads, as PackedRows rows: groups of K channels.
struct PackedWidth {
  int64_t groups;
  int64_t K;
};
std::vector<PackedWidth> packed_widths(const ModelDescription& d) {
  // The streams all together, and each as a row of its own.
  std::vector<PackedWidth> widths = {
      {1, d.hc_mult * d.hidden}, {d.hc_mult, d.hidden}, {1, d.hidden}, {1, d.q_lora_rank}};
  if (d.has_mla()) {
    widths.push_back({d.n_heads, d.kv_lora_rank});
    widths.push_back({1, d.n_heads * d.v_head_dim});
  } else {
    widths.push_back({d.o_groups, d.n_heads * d.head_dim / d.o_groups});
    widths.push_back({1, d.o_groups * d.o_lora_rank});
    widths.push_back({1, d.head_dim});  // latents of entries
  }
  if (d.engram_rows_per_token() > 0) widths.push_back({1, d.engram_rows_per_token() * d.engram_head_dim});
  return widths;
}

}  // namespace

uint64_t lay_out_workspace(const ModelDescription& d, const ForwardOptions& options, const Device::Shape& device,
                           std::byte* base, Workspace& w) {
  const int64_t T = options.tokens_max;
  const int64_t n = d.hc_mult;
  const int64_t C = d.hidden;
  const bool is_fast = options.mode == NumericMode::kFast;
  const std::vector<PackedWidth> widths = packed_widths(d);
  const bool all_aligned =
      std::all_of(widths.begin(), widths.end(), [](const PackedWidth& row) { return row.K % 64 == 0; });
  int64_t width = 0;
  for (const PackedWidth& row : widths) width = std::max(width, row.groups * padded(row.K));

  int64_t ratio_min = 0;
  int64_t waiting_floats = 0;  // of K in front of a sequence's new tokens
  int64_t compressor_width = 0;
  int64_t index_compressor_width = 0;
  int64_t entries_seen = 0;  // the most entries that one token attends to
  for (const LayerDescription& layer : d.layers) {
    if (layer.compress_ratio == 0) continue;
    const int64_t ratio = layer.compress_ratio;
    ratio_min = ratio_min == 0 ? ratio : std::min(ratio_min, ratio);
    const int64_t visible = options.context_tokens / ratio;
    entries_seen = std::max(entries_seen, has_indexer(layer.attention) ? std::min(visible, d.index_topk) : visible);
    if (!layer.makes_entries()) continue;
    const int64_t layer_width = layer.compress_coff() * std::max(d.head_dim, d.index_head_dim);
    compressor_width = std::max(compressor_width, layer_width);
    if (layer.attention == AttentionKind::kCsa) {
      index_compressor_width = std::max(index_compressor_width, layer.compress_coff() * d.index_head_dim);
    }
    waiting_floats = std::max(waiting_floats, layer.compress_coff() * ratio * layer_width);
  }
  const int64_t n_sequences = std::min(T, ops::ops_of_batch(device));
  const int64_t groups_max = compressor_width == 0 ? 0 : T / ratio_min + n_sequences;
  w.attention_rows_max = d.window + entries_seen;
  w.index_scores_stride = options.wants_scores && ratio_min > 0 ? options.context_tokens / ratio_min + 1 : 0;

  Bump bump(base);
  bump.take(w.streams, T * n * C);
  bump.take(w.draft_streams, options.mtp ? T * n * C : 0);
  bump.take(w.hc_mix, d.residual == ResidualKind::kLaggedHyperConnections ? T * n : 0);
  bump.take(w.chosen, T * d.index_topk);
  bump.take(w.n_chosen, d.index_topk > 0 ? T : 0);
  bump.take(w.candidates, T * d.candidate_topk_blocks);
  bump.take(w.n_candidates, d.candidate_topk_blocks > 0 ? T : 0);
  bump.take(w.hc_projected, T * (2 + n) * n);
  bump.take(w.hc_post, T * n);
  bump.take(w.hc_comb, T * n * n);
  bump.take(w.sublayer_in, T * C);
  bump.take(w.normed, T * C);
  bump.take(w.sublayer_out, T * C);
  // Rows of whole 64s are used where they lie; only odd sizes are copied in fast mode.
  bump.take(w.packed_none, is_fast && all_aligned ? 0 : T * width * 4);
  bump.take(w.packed_bf16, is_fast ? T * width * 2 : 0);
  bump.take(w.packed_e4m3, options.mode == NumericMode::kPublished ? T * width * 4 : 0);
  bump.take(w.packed_int8,
            is_fast && ops::has_int8_rows(device) ? ops::packed_rows_bytes(T, 1, C, ops::RowFormat::kInt8) : 0);
  int64_t lanes_bytes = 0;
  for (const PackedWidth& row : widths) {
    lanes_bytes = std::max(lanes_bytes, ops::packed_rows_bytes(T, row.groups, row.K, ops::RowFormat::kInt8Lanes));
  }
  bump.take(w.packed_lanes, is_fast && options.has_blocks ? lanes_bytes : 0);

  const uint64_t sublayer = bump.mark();
  bump.take(w.q_latent, T * d.q_lora_rank);
  bump.take(w.q, T * d.n_heads * (d.has_mla() ? d.qk_head_dim() : d.head_dim));
  bump.take(w.q_absorbed, d.has_mla() ? T * d.n_heads * d.kv_row_dim() : 0);
  bump.take(w.attention_out, T * d.n_heads * (d.has_mla() ? d.kv_lora_rank : d.head_dim));
  bump.take(w.grouped_out, T * d.o_groups * d.o_lora_rank);
  bump.take(w.values, T * d.n_heads * d.v_head_dim);
  bump.take(w.kv, T * d.kv_row_dim());
  bump.take(w.index_q, T * d.index_n_heads * d.index_head_dim);
  bump.take(w.index_w, T * d.index_n_heads);
  bump.take(w.index_k, d.has_mla() ? T * d.index_head_dim : 0);
  bump.take(w.index_scores, T * w.index_scores_stride);
  const bool has_index = d.index_topk > 0 && ratio_min > 0;
  bump.take(w.index_scratch,
            has_index ? ops::index_select_scratch_bytes(device, T, options.context_tokens / ratio_min) : 0);
  bump.take(w.window_rows, d.window == 0 ? 0 : (n_sequences * (d.window - 1) + T) * d.head_dim * 4);
  bump.take(w.compressor_k, T * compressor_width);
  bump.take(w.compressor_z, T * compressor_width);
  bump.take(w.index_compressor_k, T * index_compressor_width);
  bump.take(w.index_compressor_z, T * index_compressor_width);
  bump.take(w.compressor_rows, 2 * (n_sequences * waiting_floats + T * compressor_width));
  bump.take(w.entries, groups_max * std::max(d.head_dim, d.index_head_dim));
  bump.take(w.entry_keys, groups_max * d.index_head_dim);
  bump.take(w.attention_scratch,
            ops::sparse_attention_scratch_bytes(device, T, d.n_heads, d.kv_row_dim(), w.attention_rows_max));

  bump.rewind(sublayer);
  bump.take(w.engram_rows, T * d.engram_rows_per_token() * d.engram_head_dim);
  bump.take(w.engram_key_value, d.engram_rows_per_token() > 0 ? T * (n + 1) * C : 0);

  bump.rewind(sublayer);
  bump.take(w.router_logits, T * d.n_routed_experts);
  // A dense layer is a mixture of one expert.
  const int64_t K = std::max<int64_t>(1, d.n_experts_per_token);
  bump.take(w.experts, T * K);
  bump.take(w.expert_weights, T * K);
  bump.take(w.moe_scratch,
            std::max(ops::moe_scratch_bytes(device, T, d.n_routed_experts, d.n_experts_per_token, C, d.moe_inter_dim),
                     ops::moe_scratch_bytes(device, T, 1, 1, C, d.inter_dim)));

  bump.rewind(sublayer);
  const int64_t n_logits = logits_rows(device);
  bump.take(w.head_in, n_logits * (n + 1) * C);
  bump.take(w.head_mix, n_logits * n);
  bump.take(w.head_normed, n_logits * C);
  return bump.largest();
}

}  // namespace hadal
