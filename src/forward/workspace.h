// Every buffer of the forward pass, with its shape. Allocated once, as one block; attention and feed-forward take turns
// in the same region.
//
// T is ForwardOptions::tokens_max, C hidden, n streams, H heads, D head_dim, R q_lora_rank, E experts, K chosen ones.
#pragma once

#include <algorithm>

#include "device/device.h"
#include "forward/forward_pass.h"
#include "ops/batch.h"

namespace hadal {

struct Workspace {
  // Whole step.
  float* streams = nullptr;        // [T, n, C]
  float* draft_streams = nullptr;  // [T, n, C]; only with the draft layer
  float* hc_mix = nullptr;         // [T, n]: how the next sublayer reads the streams; lagging hyper-connections
  int32_t* chosen = nullptr;       // [T, index_topk]: entries, for all layers that take a choice
  int64_t* n_chosen = nullptr;     // [T]
  int32_t* candidates = nullptr;   // [T, candidate_topk_blocks]: blocks of entries
  int64_t* n_candidates = nullptr;

  // Both sublayers.
  float* hc_projected = nullptr;     // [T, (2 + n) n]
  float* hc_post = nullptr;          // [T, n]
  float* hc_comb = nullptr;          // [T, n, n]
  float* sublayer_in = nullptr;      // [T, C]
  float* normed = nullptr;           // [T, C]
  float* sublayer_out = nullptr;     // [T, C]
  std::byte* packed_none = nullptr;  // activations as PackedRows, one buffer per rounding
  std::byte* packed_bf16 = nullptr;
  std::byte* packed_e4m3 = nullptr;
  std::byte* packed_int8 = nullptr;   // only for the hidden state in front of FP4 experts
  std::byte* packed_lanes = nullptr;  // in front of GGUF's block types

  // Attention.
  float* q_latent = nullptr;       // [T, R]
  float* q = nullptr;              // [T, H, D]; MLA: [T, H, qk_head_dim]
  float* q_absorbed = nullptr;     // [T, H, kv_row_dim]; MLA
  float* attention_out = nullptr;  // [T, H, D]; MLA: [T, H, kv_lora_rank]
  float* grouped_out = nullptr;    // [T, o_groups o_lora_rank]
  float* values = nullptr;         // [T, H, v_head_dim]; MLA
  float* kv = nullptr;             // [T, kv_row_dim]
  float* index_q = nullptr;        // [T, index_n_heads, index_head_dim]
  float* index_w = nullptr;        // [T, index_n_heads]
  float* index_k = nullptr;        // [T, index_head_dim]; DSA
  float* index_scores = nullptr;   // [T, context / ratio]; only for observers
  std::byte* index_scratch = nullptr;
  // S: sequences that the device takes together (ops/batch.h), at most T.
  std::byte* window_rows = nullptr;  // [S (window - 1) + T, kv row]
  float* compressor_k = nullptr;     // [T, width] of the widest compressor
  float* compressor_z = nullptr;
  float* index_compressor_k = nullptr;  // those of the index keys' compressor; CSA
  float* index_compressor_z = nullptr;
  float* compressor_rows = nullptr;  // of each sequence [2, coff ratio + its tokens, width]: K, then Z
  float* entries = nullptr;          // [groups of T, D]: T / ratio, and one that waited for each sequence
  float* entry_keys = nullptr;       // [groups of T, index_head_dim]; CSA2
  std::byte* attention_scratch = nullptr;

  // Engram.
  float* engram_rows = nullptr;       // [T, engram_rows_per_token, engram_head_dim]
  float* engram_key_value = nullptr;  // [T, n + 1, C]

  // Feed-forward.
  float* router_logits = nullptr;   // [T, E]
  int32_t* experts = nullptr;       // [T, K]
  float* expert_weights = nullptr;  // [T, K]
  std::byte* moe_scratch = nullptr;

  // Head, a tile of rows at a time.
  float* head_in = nullptr;   // [logits_rows, n, C], then [logits_rows, C]
  float* head_mix = nullptr;  // [logits_rows, n]
  float* head_normed = nullptr;

  // In the results of a step (forward_impl.h), not in the block.
  float* logits = nullptr;        // [logits_rows, V]
  int64_t* not_finite = nullptr;  // [1], as ops::Router leaves it

  int64_t index_scores_stride = 0;
  int64_t attention_rows_max = 0;
};

// Rows whose logits are computed together: the head's weights are read once for them. 16, or one for each sequence that
// the device takes together.
inline int64_t logits_rows(const Device::Shape& device) {
  return std::max<int64_t>(16, ops::ops_of_batch(device));
}

// Lays the buffers out from `base` and returns the bytes they take; base null: only counts.
uint64_t lay_out_workspace(const ModelDescription& description, const ForwardOptions& options,
                           const Device::Shape& device, std::byte* base, Workspace& workspace);

}  // namespace hadal
