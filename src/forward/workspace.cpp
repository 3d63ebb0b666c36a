#include "forward/workspace.h"

#include <algorithm>
#include <set>

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
    next_ += (static_cast<uint64_t>(count) * sizeof(T) + 63) / 64 * 64;
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

// The widest PackedRows row, in elements: the streams, the heads' output by groups, the latents.
int64_t packed_width(const ModelDescription& d) {
  const int64_t group = d.n_heads * d.head_dim / d.o_groups;
  return std::max({padded(d.hc_mult * d.hidden), d.o_groups * padded(group), padded(d.o_groups * d.o_lora_rank),
                   padded(d.q_lora_rank), padded(d.hidden), d.hc_mult * padded(d.hidden)});
}

int64_t ropes_of(const ModelDescription& d) {
  std::set<std::pair<double, int64_t>> ropes;
  for (const auto* layers : {&d.layers, &d.mtp_layers}) {
    for (const LayerDescription& layer : *layers) ropes.insert({layer.rope.theta, layer.rope.original_tokens});
  }
  return static_cast<int64_t>(ropes.size());
}

}  // namespace

uint64_t lay_out_workspace(const ModelDescription& d, const ForwardOptions& options, int n_threads, std::byte* base,
                           Workspace& w) {
  const int64_t T = options.tokens_max;
  const int64_t n = d.hc_mult;
  const int64_t C = d.hidden;
  const bool is_fast = options.mode == NumericMode::kFast;
  const bool all_aligned = C % 64 == 0;

  int64_t ratio_min = 0;
  int64_t ratio_max = 0;
  int64_t compressor_width = 0;
  int64_t entries_seen = 0;  // the most compressed entries that one token attends to
  for (const LayerDescription& layer : d.layers) {
    if (layer.compress_ratio == 0) continue;
    const int64_t ratio = layer.compress_ratio;
    ratio_min = ratio_min == 0 ? ratio : std::min(ratio_min, ratio);
    ratio_max = std::max(ratio_max, ratio);
    compressor_width = std::max(compressor_width, layer.compress_coff() * std::max(d.head_dim, d.index_head_dim));
    const int64_t visible = options.context_tokens / ratio;
    entries_seen =
        std::max(entries_seen, layer.attention == AttentionKind::kCsa ? std::min(visible, d.index_topk) : visible);
  }
  const int64_t groups_max = ratio_min == 0 ? 0 : T / ratio_min + 1;
  w.attention_rows_max = d.window + entries_seen;
  w.index_scores_stride = options.wants_scores && ratio_min > 0 ? options.context_tokens / ratio_min + 1 : 0;

  Bump bump(base);
  bump.take(w.streams, T * n * C);
  bump.take(w.draft_streams, options.mtp ? T * n * C : 0);
  bump.take(w.cos_sin, ropes_of(d) * T * d.rope_head_dim);
  bump.take(w.hc_projected, T * (2 + n) * n);
  bump.take(w.hc_post, T * n);
  bump.take(w.hc_comb, T * n * n);
  bump.take(w.sublayer_in, T * C);
  bump.take(w.normed, T * C);
  bump.take(w.sublayer_out, T * C);
  const int64_t width = packed_width(d);
  // Rows of whole 64s are used where they lie; only odd sizes are copied in fast mode.
  bump.take(w.packed_none, is_fast && all_aligned ? 0 : T * width * 4);
  bump.take(w.packed_bf16, is_fast ? T * width * 2 : 0);
  bump.take(w.packed_e4m3, options.mode == NumericMode::kPublished ? T * width * 4 : 0);
  bump.take(w.packed_int8, is_fast ? ops::packed_rows_bytes(T, 1, C, ops::RowFormat::kInt8) : 0);

  const uint64_t sublayer = bump.mark();
  bump.take(w.q_latent, T * d.q_lora_rank);
  bump.take(w.q, T * d.n_heads * d.head_dim);
  bump.take(w.attention_out, T * d.n_heads * d.head_dim);
  bump.take(w.grouped_out, T * d.o_groups * d.o_lora_rank);
  bump.take(w.kv, T * d.head_dim);
  bump.take(w.index_q, T * d.index_n_heads * d.index_head_dim);
  bump.take(w.index_w, T * d.index_n_heads);
  bump.take(w.index_scores, T * w.index_scores_stride);
  bump.take(w.chosen, T * d.index_topk);
  for (int64_t** counts : {&w.n_chosen, &w.visible, &w.window_begin, &w.window_n}) bump.take(*counts, T);
  bump.take(w.window_rows, (d.window - 1 + T) * d.head_dim * 4);
  bump.take(w.compressor_k, T * compressor_width);
  bump.take(w.compressor_z, T * compressor_width);
  bump.take(w.compressor_rows_k, (2 * ratio_max + T) * compressor_width);
  bump.take(w.compressor_rows_z, (2 * ratio_max + T) * compressor_width);
  bump.take(w.entries, groups_max * std::max(d.head_dim, d.index_head_dim));
  bump.take(w.entry_cos_sin, groups_max * d.rope_head_dim);
  bump.take(w.attention_scratch,
            ops::sparse_attention_scratch_bytes(n_threads, d.n_heads, d.head_dim, w.attention_rows_max));

  bump.rewind(sublayer);
  bump.take(w.router_logits, T * d.n_routed_experts);
  bump.take(w.experts, T * d.n_experts_per_token);
  bump.take(w.expert_weights, T * d.n_experts_per_token);
  bump.take(w.moe_scratch, ops::moe_scratch_bytes(T, d.n_experts_per_token, d.moe_inter_dim));

  bump.rewind(sublayer);
  bump.take(w.head_in, kLogitsRows * (n + 1) * C);
  bump.take(w.head_normed, kLogitsRows * C);
  bump.take(w.logits, kLogitsRows * d.vocab_size);
  return bump.largest();
}

}  // namespace hadal
