#include "model/description_fields.h"

#include <algorithm>
#include <array>

namespace hadal {
namespace {

using D = ModelDescription;
using P = ModelPart;

// Upper limits are at least 8 times the largest release (V4 Pro), and small enough that no product of three of them
// leaves 63 bits.
constexpr std::array kIntFields = std::to_array<IntField>({
    // clang-format off
    //key                        ModelArgs              member                   of                    min  max
    {"vocab_size",               "vocab_size",          &D::vocab_size,          P::kAlways,           1,   1 << 24},
    {"hidden_size",              "dim",                 &D::hidden,              P::kAlways,           1,   1 << 16},
    {"max_position_embeddings",  "max_seq_len",         &D::context_tokens_max,  P::kAlways,           1,   kContextTokensMax},
    {"num_attention_heads",      "n_heads",             &D::n_heads,             P::kAlways,           1,   1 << 12},
    {"q_lora_rank",              "q_lora_rank",         &D::q_lora_rank,         P::kAlways,           1,   1 << 16},
    {"qk_rope_head_dim",         "rope_head_dim",       &D::rope_head_dim,       P::kAlways,           2,   1 << 12},
    {"head_dim",                 "head_dim",            &D::head_dim,            P::kSharedHead,       2,   1 << 12},
    {"o_groups",                 "o_groups",            &D::o_groups,            P::kSharedHead,       1,   1 << 12},
    {"o_lora_rank",              "o_lora_rank",         &D::o_lora_rank,         P::kSharedHead,       1,   1 << 16},
    {"sliding_window",           "window_size",         &D::window,              P::kSharedHead,       1,   1 << 16},
    {"kv_lora_rank",             "kv_lora_rank",        &D::kv_lora_rank,        P::kMla,              1,   1 << 13},
    {"qk_nope_head_dim",         "qk_nope_head_dim",    &D::qk_nope_head_dim,    P::kMla,              1,   1 << 12},
    {"v_head_dim",               "v_head_dim",          &D::v_head_dim,          P::kMla,              1,   1 << 12},
    {"index_n_heads",            "index_n_heads",       &D::index_n_heads,       P::kIndexer,          1,   1 << 12},
    {"index_head_dim",           "index_head_dim",      &D::index_head_dim,      P::kIndexer,          2,   1 << 12},
    {"index_topk",               "index_topk",          &D::index_topk,          P::kIndexer,          1,   1 << 16},
    {"intermediate_size",        "inter_dim",           &D::inter_dim,           P::kDenseFfn,         1,   1 << 18},
    {"n_routed_experts",         "n_routed_experts",    &D::n_routed_experts,    P::kMoe,              1,   1 << 12},
    {"n_shared_experts",         "n_shared_experts",    &D::n_shared_experts,    P::kMoe,              1,   1},
    {"num_experts_per_tok",      "n_activated_experts", &D::n_experts_per_token, P::kMoe,              1,   64},
    {"moe_intermediate_size",    "moe_inter_dim",       &D::moe_inter_dim,       P::kMoe,              1,   1 << 16},
    {"n_group",                  "n_expert_groups",     &D::n_expert_groups,     P::kMoe,              1,   1 << 12},
    {"topk_group",               "n_limited_groups",    &D::n_limited_groups,    P::kMoe,              1,   1 << 12},
    {"hc_mult",                  "hc_mult",             &D::hc_mult,             P::kAlways,           1,   16},
    {"hc_sinkhorn_iters",        "hc_sinkhorn_iters",   &D::hc_sinkhorn_iters,   P::kHyperConnections, 1,   1000},
    {"candidate_topk_blocks",    "candidate_topk_blocks", &D::candidate_topk_blocks, P::kCandidates,   1,   1 << 16},
    {"candidate_block_size",     "candidate_block_size", &D::candidate_block_size, P::kCandidates,     1,   kCandidateBlockMax},
    {"engram_vocab_size",        "engram_vocab_size",   &D::engram_vocab_size,   P::kEngram,           2,   1 << 26},
    {"engram_max_ngram_size",    "engram_max_ngram_size", &D::engram_max_ngram,  P::kEngram,           2,   8},
    {"engram_n_heads",           "engram_n_heads",      &D::engram_n_heads,      P::kEngram,           1,   64},
    {"engram_head_dim",          "engram_head_dim",     &D::engram_head_dim,     P::kEngram,           32,  1 << 12},
    {"engram_compressed_vocab_size", "engram_compressed_vocab_size", &D::engram_n_classes, P::kEngram, 1,   1 << 24},
    {"engram_pad_id",            "engram_pad_id",       &D::engram_pad_id,       P::kEngram,           0,   1 << 24},
    // clang-format on
});

constexpr std::array kRealFields = std::to_array<RealField>({
    // clang-format off
    //key                        ModelArgs              member                   of                    min    max
    {"rms_norm_eps",             "norm_eps",            &D::rms_norm_eps,        P::kAlways,           1e-30, 1.0},
    {"hc_eps",                   "hc_eps",              &D::hc_eps,              P::kHyperConnections, 0.0,   1.0},
    {"routed_scaling_factor",    "route_scale",         &D::route_scale,         P::kMoe,              1e-6,  1e6},
    {"swiglu_limit",             "swiglu_limit",        &D::swiglu_limit,        P::kAlways,           0.0,   1e6},
    // clang-format on
});

bool any_layer(const ModelDescription& d, bool (*is_so)(const LayerDescription&)) {
  return std::any_of(d.layers.begin(), d.layers.end(), is_so) ||
         std::any_of(d.mtp_layers.begin(), d.mtp_layers.end(), is_so);
}

}  // namespace

std::span<const IntField> int_fields() {
  return kIntFields;
}
std::span<const RealField> real_fields() {
  return kRealFields;
}

bool has_part(const ModelDescription& d, ModelPart part) {
  switch (part) {
    case ModelPart::kAlways:
      return true;
    case ModelPart::kSharedHead:
      return any_layer(d, [](const LayerDescription& layer) { return !is_mla(layer.attention); });
    case ModelPart::kMla:
      return any_layer(d, [](const LayerDescription& layer) { return is_mla(layer.attention); });
    case ModelPart::kIndexer:
      return any_layer(d, [](const LayerDescription& layer) { return has_indexer(layer.attention); });
    case ModelPart::kMoe:
      return any_layer(d, [](const LayerDescription& layer) { return layer.ffn == FfnKind::kMoe; });
    case ModelPart::kDenseFfn:
      return any_layer(d, [](const LayerDescription& layer) { return layer.ffn == FfnKind::kDense; });
    case ModelPart::kHyperConnections:
      return has_hyper_connections(d.residual);
    case ModelPart::kCandidates:
      return any_layer(d, [](const LayerDescription& layer) { return layer.candidates != CandidateRole::kNone; });
    case ModelPart::kEngram:
      return any_layer(d, [](const LayerDescription& layer) { return layer.engram_rows > 0; });
  }
  return false;
}

void clear_absent_parts(ModelDescription& d) {
  for (const IntField& field : kIntFields) {
    if (!has_part(d, field.part)) d.*field.member = 0;
  }
  for (const RealField& field : kRealFields) {
    if (!has_part(d, field.part)) d.*field.member = 0;
  }
}

std::string_view score_func_name(ScoreFunc func) {
  switch (func) {
    case ScoreFunc::kSqrtSoftplus:
      return "sqrtsoftplus";
    case ScoreFunc::kSigmoid:
      return "sigmoid";
    case ScoreFunc::kSoftmax:
      return "softmax";
  }
  return "unknown";
}

std::string_view attention_kind_name(AttentionKind kind) {
  switch (kind) {
    case AttentionKind::kWindow:
      return "window";
    case AttentionKind::kCsa:
      return "csa";
    case AttentionKind::kHca:
      return "hca";
    case AttentionKind::kMla:
      return "mla";
    case AttentionKind::kDsa:
      return "dsa";
    case AttentionKind::kCsa2:
      return "csa2";
  }
  return "unknown";
}

}  // namespace hadal
