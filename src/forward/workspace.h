// Every buffer of the forward pass, with its shape. Allocated once, as one block; attention and feed-forward take turns
// in the same region.
//
// T is ForwardOptions::tokens_max, C hidden, n streams, H heads, D head_dim, R q_lora_rank, E experts, K chosen ones.
#pragma once

#include "device/buffer.h"
#include "forward/forward_pass.h"

namespace hadal {

struct Workspace {
  // Whole step.
  float* streams = nullptr;        // [T, n, C]
  float* draft_streams = nullptr;  // [T, n, C]; only with the draft layer
  float* cos_sin = nullptr;        // [n_ropes, T, rope_dim]

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
  std::byte* packed_int8 = nullptr;  // only for the hidden state in front of FP4 experts

  // Attention.
  float* q_latent = nullptr;         // [T, R]
  float* q = nullptr;                // [T, H, D]
  float* attention_out = nullptr;    // [T, H, D]
  float* grouped_out = nullptr;      // [T, o_groups o_lora_rank]
  float* kv = nullptr;               // [T, D]
  float* index_q = nullptr;          // [T, index_n_heads, index_head_dim]
  float* index_w = nullptr;          // [T, index_n_heads]
  float* index_scores = nullptr;     // [T, context / 4]; only for observers
  int32_t* chosen = nullptr;         // [T, index_topk]
  int64_t* n_chosen = nullptr;       // [T]
  int64_t* visible = nullptr;        // [T]
  int64_t* window_begin = nullptr;   // [T]
  int64_t* window_n = nullptr;       // [T]
  std::byte* window_rows = nullptr;  // [window - 1 + T, kv row]
  float* compressor_k = nullptr;     // [T, width] of the widest compressor
  float* compressor_z = nullptr;
  float* compressor_rows_k = nullptr;  // [2 ratio + T, width]
  float* compressor_rows_z = nullptr;
  float* entries = nullptr;        // [groups of T, D]
  float* entry_cos_sin = nullptr;  // [groups of T, rope_dim]
  std::byte* attention_scratch = nullptr;

  // Feed-forward.
  float* router_logits = nullptr;   // [T, E]
  int32_t* experts = nullptr;       // [T, K]
  float* expert_weights = nullptr;  // [T, K]
  std::byte* moe_scratch = nullptr;

  // Head, a tile of rows at a time.
  float* head_in = nullptr;  // [kLogitsRows, n, C], then [kLogitsRows, C]
  float* head_normed = nullptr;
  float* logits = nullptr;  // [kLogitsRows, V]

  int64_t index_scores_stride = 0;
  int64_t attention_rows_max = 0;
};

// Rows whose logits are computed together: the head's weights are read once for them.
inline constexpr int64_t kLogitsRows = 16;

// Lays the buffers out from `base` and returns the bytes they take; base null: only counts.
uint64_t lay_out_workspace(const ModelDescription& description, const ForwardOptions& options, int n_threads,
                           std::byte* base, Workspace& workspace);

}  // namespace hadal
