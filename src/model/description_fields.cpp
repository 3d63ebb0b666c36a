#include "model/description_fields.h"

#include <array>

namespace hadal {
namespace {

using D = ModelDescription;
constexpr std::nullopt_t kRequired = std::nullopt;

// Upper limits are at least 8 times the largest release (Pro), and small enough that no product of three of them
// leaves 63 bits.
constexpr std::array kIntFields =
    std::to_array<IntField>(
        {
            // clang-format off
    //key                        ModelArgs              member                   min  max                ModelArgs  config.json
    {"vocab_size",               "vocab_size",          &D::vocab_size,          1,   1 << 24,           129280,    kRequired},
    {"hidden_size",              "dim",                 &D::hidden,              1,   1 << 16,           4096,      kRequired},
    {"max_position_embeddings",  "max_seq_len",         &D::context_tokens_max,  1,   kContextTokensMax, 4096,      kRequired},
    {"num_attention_heads",      "n_heads",             &D::n_heads,             1,   1 << 12,           64,        kRequired},
    {"head_dim",                 "head_dim",            &D::head_dim,            2,   1 << 12,           512,       kRequired},
    {"qk_rope_head_dim",         "rope_head_dim",       &D::rope_head_dim,       2,   1 << 12,           64,        kRequired},
    {"q_lora_rank",              "q_lora_rank",         &D::q_lora_rank,         1,   1 << 16,           1024,      kRequired},
    {"o_groups",                 "o_groups",            &D::o_groups,            1,   1 << 12,           8,         kRequired},
    {"o_lora_rank",              "o_lora_rank",         &D::o_lora_rank,         1,   1 << 16,           1024,      kRequired},
    {"sliding_window",           "window_size",         &D::window,              1,   1 << 16,           128,       kRequired},
    {"index_n_heads",            "index_n_heads",       &D::index_n_heads,       1,   1 << 12,           64,        kRequired},
    {"index_head_dim",           "index_head_dim",      &D::index_head_dim,      2,   1 << 12,           128,       kRequired},
    {"index_topk",               "index_topk",          &D::index_topk,          1,   1 << 16,           512,       kRequired},
    {"n_routed_experts",         "n_routed_experts",    &D::n_routed_experts,    1,   1 << 14,           8,         kRequired},
    {"n_shared_experts",         "n_shared_experts",    &D::n_shared_experts,    1,   1,                 1,         1},
    {"num_experts_per_tok",      "n_activated_experts", &D::n_experts_per_token, 1,   64,                2,         kRequired},
    {"moe_intermediate_size",    "moe_inter_dim",       &D::moe_inter_dim,       1,   1 << 16,           4096,      kRequired},
    {"hc_mult",                  "hc_mult",             &D::hc_mult,             1,   16,                4,         4},
    {"hc_sinkhorn_iters",        "hc_sinkhorn_iters",   &D::hc_sinkhorn_iters,   1,   1000,              20,        20},
            // clang-format on
        });

constexpr std::array kRealFields = std::to_array<RealField>({
    // clang-format off
    //key                        ModelArgs              member                   min    max   ModelArgs  config.json
    {"rms_norm_eps",             "norm_eps",            &D::rms_norm_eps,        1e-30, 1.0,  1e-6,      1e-6},
    {"hc_eps",                   "hc_eps",              &D::hc_eps,              0.0,   1.0,  1e-6,      1e-6},
    {"routed_scaling_factor",    "route_scale",         &D::route_scale,         1e-6,  1e6,  1.0,       kRequired},
    {"swiglu_limit",             "swiglu_limit",        &D::swiglu_limit,        0.0,   1e6,  0.0,       kRequired},
    // clang-format on
});

}  // namespace

std::span<const IntField> int_fields() {
  return kIntFields;
}
std::span<const RealField> real_fields() {
  return kRealFields;
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
  }
  return "unknown";
}

}  // namespace hadal
