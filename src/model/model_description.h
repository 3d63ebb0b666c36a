// What a model is: one plain struct, made by one translation per family and validated once.
//
// Nothing after that asks "which model is this?". Words are those of the release's configs (docs/glossary.md maps
// them); sizes are counts of elements unless the name says otherwise.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace hadal {

enum class AttentionKind {
  kWindow,  // the last `window` positions
  kCsa,     // window + the index_topk best of the compressed entries, chosen by the lightning indexer
  kHca,     // window + all visible compressed entries
  kMla,     // all positions; a position is cached as one latent that all heads share
  kDsa,     // MLA over the index_topk best positions, chosen by the lightning indexer
  kCsa2,    // window + the index_topk best entries, where layers share entries, index keys and choices
};
// Positions are cached as latents (multi-head latent attention).
constexpr bool is_mla(AttentionKind kind) {
  return kind == AttentionKind::kMla || kind == AttentionKind::kDsa;
}
constexpr bool has_indexer(AttentionKind kind) {
  return kind == AttentionKind::kCsa || kind == AttentionKind::kDsa || kind == AttentionKind::kCsa2;
}
// Groups of positions become entries.
constexpr bool has_compressor(AttentionKind kind) {
  return kind == AttentionKind::kCsa || kind == AttentionKind::kHca || kind == AttentionKind::kCsa2;
}

enum class FfnKind { kMoe, kDense };
enum class RouterKind { kHash, kScore };  // experts by token id, or by score + bias
enum class ScoreFunc { kSqrtSoftplus, kSigmoid, kSoftmax };
// How a sublayer's output joins the residual: added to one stream, or mixed into hc_mult of them (mHC).
enum class ResidualKind {
  kPlain,
  kHyperConnections,
  // mHC in one pass over the streams: a sublayer reads them with the `pre` of the sublayer before it, the first one the
  // first stream alone, and the head with that of the last one.
  kLaggedHyperConnections,
};
constexpr bool has_hyper_connections(ResidualKind kind) {
  return kind != ResidualKind::kPlain;
}
// Two-level choice: a layer that scores all entries also names the best blocks of them; later layers that score entries
// anew look into those blocks only.
enum class CandidateRole { kNone, kMakes, kTakes };
// Scale of the published rounding of activations: largest magnitude / 448 as a float, or the power of two above it.
enum class ActivationScale { kFloat, kPowerOfTwo };

struct RopeDescription {
  double theta = 0;
  // YaRN, off when original_tokens is 0. Angles are not scaled by an attention factor.
  double factor = 1;
  int64_t original_tokens = 0;
  double beta_fast = 32;
  double beta_slow = 1;
  // YaRN's attention temperature; 0: none. Only MLA has one.
  double mscale_all_dim = 0;

  // The attention's logits are multiplied by this squared.
  double mscale() const;
};

struct LayerDescription {
  AttentionKind attention = AttentionKind::kWindow;
  int compress_ratio = 0;         // positions per cached entry: 0 for kWindow (no entries), 1 for kMla and kDsa
  bool compress_overlap = false;  // entries also see the group before (ratio 4)
  RopeDescription rope = {};      // of everything in the layer
  FfnKind ffn = FfnKind::kMoe;
  RouterKind router = RouterKind::kScore;  // of kMoe

  // CSA2: layers before this one whose entries (with their index keys) and whose choice of entries it takes; -1: it has
  // its own. "Full" layers have both of their own, "reindex" layers only the choice, "reuse" layers neither.
  int entries_layer = -1;
  int chosen_layer = -1;
  CandidateRole candidates = CandidateRole::kNone;

  int64_t engram_rows = 0;  // of the n-gram table that is looked up before the layer; 0: there is none

  bool makes_entries() const { return has_compressor(attention) && entries_layer < 0; }
  bool chooses_entries() const { return has_indexer(attention) && chosen_layer < 0; }

  // Rows of the compressor's projections per head_dim: 2 with overlap, else 1.
  int compress_coff() const { return compress_overlap ? 2 : 1; }
};

struct ModelDescription {
  std::string family;  // "deepseek_v4": for people and identities only
  ResidualKind residual = ResidualKind::kHyperConnections;
  ActivationScale activation_scale = ActivationScale::kPowerOfTwo;
  // Channels of an activation that share a scale in the published rounding. 32, with a window: cached rows are rounded
  // whole by 32 and 16 channels, index queries and keys without a Hadamard transform (V4.1).
  int64_t activation_block = 128;
  int64_t vocab_size = 0;
  int64_t hidden = 0;
  std::vector<LayerDescription> layers;      // trunk
  std::vector<LayerDescription> mtp_layers;  // draft layers behind the trunk, 0 or 1
  double rms_norm_eps = 0;
  int64_t context_tokens_max = 0;
  int32_t bos_token_id = -1;
  int32_t eos_token_id = -1;

  // Attention. Sizes of parts that the model does not have are 0.
  int64_t n_heads = 0;
  int64_t q_lora_rank = 0;
  int64_t rope_head_dim = 0;  // rotated channels, the last ones of a head or a cached row
  // With a window: K = V = one shared head.
  int64_t head_dim = 0;
  int64_t o_groups = 0;
  int64_t o_lora_rank = 0;
  int64_t window = 0;
  bool has_query_norm = true;  // queries are normed per head
  // MLA: a cached row is a latent and the rotated channels of all heads' keys.
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;
  int64_t v_head_dim = 0;
  // Indexer. kCsa rotates the last channels of a head in pairs, kDsa the first ones in halves.
  int64_t index_n_heads = 0;
  int64_t index_head_dim = 0;
  int64_t index_topk = 0;
  // Blocks of entries that layers with CandidateRole::kMakes name, and the entries of a block.
  int64_t candidate_topk_blocks = 0;
  int64_t candidate_block_size = 0;

  // Engram: hashes of the last 2 to engram_max_ngram token classes name rows of tables (model/engram_tables.h).
  int64_t engram_vocab_size = 0;  // the primes of the tables begin here
  int64_t engram_max_ngram = 0;
  int64_t engram_n_heads = 0;  // rows for each length of n-gram
  int64_t engram_head_dim = 0;
  int64_t engram_n_classes = 0;
  int64_t engram_pad_id = 0;  // token that stands for those before the first

  // Feed-forward networks.
  int64_t inter_dim = 0;  // of dense layers
  int64_t n_routed_experts = 0;
  int64_t n_shared_experts = 0;
  int64_t n_experts_per_token = 0;
  int64_t moe_inter_dim = 0;
  int64_t n_expert_groups = 0;  // experts are chosen within the n_limited_groups best of these
  int64_t n_limited_groups = 0;
  ScoreFunc score_func = ScoreFunc::kSqrtSoftplus;
  double route_scale = 1;
  double swiglu_limit = 0;  // 0: no clamp

  // Residual.
  int64_t hc_mult = 0;  // streams; 1 when it is plain
  int64_t hc_sinkhorn_iters = 0;
  double hc_eps = 0;

  // Tile of the FP8 weights' scales as the config announces it (weight_block_size); 0 when it says nothing and the
  // shapes of the scales decide. How weights are stored, not what the model computes: no part of the identity.
  int64_t weight_block_rows = 0;
  int64_t weight_block_cols = 0;

  bool has_mla() const { return !layers.empty() && is_mla(layers.front().attention); }
  int64_t qk_head_dim() const { return qk_nope_head_dim + rope_head_dim; }  // MLA: of a query head
  int64_t engram_rows_per_token() const { return engram_n_heads == 0 ? 0 : (engram_max_ngram - 1) * engram_n_heads; }
  // Channels of a cached row, of which the last rope_head_dim are rotated.
  int64_t kv_row_dim() const { return has_mla() ? kv_lora_rank + rope_head_dim : head_dim; }
};

// config.json in the form of the published repository (transformers' keys) or of the official inference code, told
// apart by their keys; `name` is the place for messages. Every number is range-checked and every contradiction
// (experts per token > experts, heads not divisible by groups, ...) is an Invalid error that names both keys.
// Unsupported: another architecture, by name.
Result<ModelDescription> parse_model_config(const json::Value& config, std::string_view name);

// The checks that every translation ends with; public for tests.
Result<void> validate(const ModelDescription& description, std::string_view name);

// SHA-256 hex over the description's canonical JSON: part of the identity of saved states.
std::string description_identity(const ModelDescription& description);
json::Value description_to_json(const ModelDescription& description);

}  // namespace hadal
