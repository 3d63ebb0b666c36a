// DeepSeek-V3's config -> ModelDescription: V3, R1 and V3.1, and V3.2 with its indexer.
//
// Source: the releases' config.json, inference/model.py (ModelArgs) with its configs/*.json, and transformers'
// deepseek_v3 and deepseek_v32 configurations (rope_parameters stands for rope_theta and rope_scaling there).
// Not here: V2, whose router scores by softmax and whose groups count by their maximum.
#include <fmt/format.h>

#include <algorithm>

#include "model/config_reader.h"
#include "model/description_fields.h"

namespace hadal {
namespace {

using D = ModelDescription;
constexpr std::nullopt_t kRequired = std::nullopt;

// The official configs write out all sizes, so ModelArgs' defaults (a small V2) are not taken for them.
constexpr ConfigKey<int64_t> kIntKeys[] = {
    // clang-format off
    //member                  config.json                ModelArgs             ModelArgs' default  config.json's
    {&D::vocab_size,          "vocab_size",              "vocab_size",          kRequired, kRequired},
    {&D::hidden,              "hidden_size",             "dim",                 kRequired, kRequired},
    {&D::context_tokens_max,  "max_position_embeddings", "max_seq_len",         16384,     kRequired},
    {&D::n_heads,             "num_attention_heads",     "n_heads",             kRequired, kRequired},
    {&D::q_lora_rank,         "q_lora_rank",             "q_lora_rank",         kRequired, kRequired},
    {&D::kv_lora_rank,        "kv_lora_rank",            "kv_lora_rank",        kRequired, kRequired},
    {&D::qk_nope_head_dim,    "qk_nope_head_dim",        "qk_nope_head_dim",    kRequired, kRequired},
    {&D::rope_head_dim,       "qk_rope_head_dim",        "qk_rope_head_dim",    kRequired, kRequired},
    {&D::v_head_dim,          "v_head_dim",              "v_head_dim",          kRequired, kRequired},
    {&D::inter_dim,           "intermediate_size",       "inter_dim",           kRequired, kRequired},
    {&D::n_routed_experts,    "n_routed_experts",        "n_routed_experts",    kRequired, kRequired},
    {&D::n_shared_experts,    "n_shared_experts",        "n_shared_experts",    kRequired, 1},
    {&D::n_experts_per_token, "num_experts_per_tok",     "n_activated_experts", kRequired, kRequired},
    {&D::moe_inter_dim,       "moe_intermediate_size",   "moe_inter_dim",       kRequired, kRequired},
    {&D::n_expert_groups,     "n_group",                 "n_expert_groups",     1,         1},
    {&D::n_limited_groups,    "topk_group",              "n_limited_groups",    1,         1},
    // clang-format on
};
constexpr ConfigKey<int64_t> kIndexerKeys[] = {
    // clang-format off
    {&D::index_n_heads,       "index_n_heads",           "index_n_heads",       64,        kRequired},
    {&D::index_head_dim,      "index_head_dim",          "index_head_dim",      128,       kRequired},
    {&D::index_topk,          "index_topk",              "index_topk",          2048,      kRequired},
    // clang-format on
};
constexpr ConfigKey<double> kRealKeys[] = {
    // clang-format off
    {&D::rms_norm_eps,        "rms_norm_eps",            "norm_eps",            1e-6,      1e-6},
    {&D::route_scale,         "routed_scaling_factor",   "route_scale",         1.0,       kRequired},
    // clang-format on
};

// V3.2 has a model_type of its own; its ModelArgs are told by the indexer's keys.
bool has_dsa(const ConfigReader& reader) {
  const json::Value* type = reader.member("model_type");
  if (type != nullptr) return type->as_string() == "deepseek_v32";
  return reader.member("index_topk") != nullptr;
}

// --- rope ------------------------------------------------------------------------------------------------------------

// The rule of YaRN would scale cos and sin by mscale / mscale_all_dim of the two temperatures: 1 in every release.
Result<void> read_mscale(const ConfigReader& reader, const json::Value& scaling, std::string_view place,
                         RopeDescription& rope) {
  const auto real = [&](std::string_view key) {
    return reader.real(ConfigReader::member(scaling, key), fmt::format("{}.{}", place, key), 0.0);
  };
  HADAL_ASSIGN(rope.mscale_all_dim, real("mscale_all_dim"));
  HADAL_ASSIGN(const double mscale, real("mscale"));
  if (mscale == rope.mscale_all_dim) return {};
  return reader.wrong(fmt::format("{}.mscale", place), fmt::format("mscale_all_dim = {}", rope.mscale_all_dim),
                      ConfigReader::member(scaling, "mscale"), ErrorCode::kUnsupported);
}

// The official code turns YaRN on when its buffer is longer than original_seq_len. The models were trained with it, and
// a result must not depend on a buffer: it is always on.
Result<RopeDescription> read_args_rope(const ConfigReader& reader) {
  RopeDescription rope;
  HADAL_ASSIGN(rope.theta, reader.real("rope_theta", 10000));
  HADAL_ASSIGN(rope.factor, reader.real("rope_factor", 40));
  HADAL_ASSIGN(rope.original_tokens, reader.integer("original_seq_len", 4096));
  HADAL_ASSIGN(rope.beta_fast, reader.real("beta_fast", 32));
  HADAL_ASSIGN(rope.beta_slow, reader.real("beta_slow", 1));
  HADAL_ASSIGN(rope.mscale_all_dim, reader.real("mscale", 1));
  return rope;
}

// --- layers ----------------------------------------------------------------------------------------------------------

// Dense layers first, then mixtures of experts; the draft layer is one of those.
Result<void> read_layers(const ConfigReader& reader, const RopeDescription& rope, ModelDescription& d) {
  HADAL_ASSIGN(const int64_t n_layers, read_layer_count(reader, std::nullopt));
  const std::string_view dense_key = reader.key("first_k_dense_replace", "n_dense_layers");
  HADAL_ASSIGN(const int64_t n_dense, reader.integer(dense_key, std::nullopt));
  if (n_dense < 0 || n_dense > n_layers) {
    return reader.wrong(dense_key, fmt::format("0 to the number of layers = {}", n_layers), reader.member(dense_key));
  }
  LayerDescription layer;
  layer.attention = has_dsa(reader) ? AttentionKind::kDsa : AttentionKind::kMla;
  layer.compress_ratio = 1;
  layer.rope = rope;
  d.layers.assign(static_cast<size_t>(n_layers), layer);
  for (size_t l = 0; l < static_cast<size_t>(n_dense); ++l) d.layers[l].ffn = FfnKind::kDense;

  constexpr std::string_view kDraftsKey = "num_nextn_predict_layers";
  HADAL_ASSIGN(const int64_t n_drafts, reader.integer(kDraftsKey, 0));
  if (n_drafts < 0 || n_drafts > 1) {
    return reader.wrong(kDraftsKey, "0 or 1", reader.member(kDraftsKey),
                        n_drafts < 0 ? ErrorCode::kInvalid : ErrorCode::kUnsupported);
  }
  d.mtp_layers.assign(static_cast<size_t>(n_drafts), layer);
  return {};
}

}  // namespace

Result<RopeDescription> read_latent_rope(const ConfigReader& reader) {
  const bool has_parameters = reader.member("rope_parameters") != nullptr;
  const std::string_view place = has_parameters ? "rope_parameters" : "rope_scaling";
  const json::Value* scaling = reader.member(place);
  RopeDescription rope;
  const json::Value* theta = has_parameters ? ConfigReader::member(*scaling, "rope_theta") : nullptr;
  HADAL_ASSIGN(rope.theta, reader.real(theta != nullptr ? theta : reader.member("rope_theta"),
                                       theta != nullptr ? "rope_parameters.rope_theta" : "rope_theta", std::nullopt));
  if (scaling == nullptr) return rope;
  HADAL_TRY(read_yarn(reader, *scaling, place, rope));
  if (rope.original_tokens > 0) HADAL_TRY(read_mscale(reader, *scaling, place, rope));
  return rope;
}

Result<ModelDescription> parse_deepseek_v3(const ConfigReader& reader) {
  const ConfigAssumption assumptions[] = {
      {"attention_bias", json::Value::boolean(false)},      {"hidden_act", json::Value::string("silu")},
      {"tie_word_embeddings", json::Value::boolean(false)}, {"norm_topk_prob", json::Value::boolean(true)},
      {"topk_method", json::Value::string("noaux_tc")},     {"moe_layer_freq", json::Value::number(int64_t{1})},
  };
  HADAL_TRY(check_assumptions(reader, assumptions));
  ModelDescription d;
  d.family = has_dsa(reader) ? "deepseek_v32" : "deepseek_v3";
  d.residual = ResidualKind::kPlain;
  d.hc_mult = 1;
  d.activation_scale = ActivationScale::kFloat;
  HADAL_TRY(read_numbers(reader, kIntKeys, d));
  HADAL_TRY(read_numbers(reader, kRealKeys, d));
  if (has_dsa(reader)) HADAL_TRY(read_numbers(reader, kIndexerKeys, d));
  HADAL_ASSIGN(d.score_func, read_score_func(reader, ScoreFunc::kSigmoid));
  if (d.score_func != ScoreFunc::kSigmoid) {
    const std::string_view key = reader.key("scoring_func", "score_func");
    return reader.wrong(key, "\"sigmoid\"", reader.member(key), ErrorCode::kUnsupported);
  }
  HADAL_ASSIGN(d.bos_token_id, read_token_id(reader, "bos_token_id"));
  HADAL_ASSIGN(d.eos_token_id, read_token_id(reader, "eos_token_id"));
  HADAL_TRY(read_quantization(reader, d));
  if (const json::Value* scale = reader.member("scale_fmt"); scale != nullptr && scale->as_string() == "ue8m0") {
    d.activation_scale = ActivationScale::kPowerOfTwo;  // ModelArgs say it here
  }
  HADAL_ASSIGN(const RopeDescription rope, reader.is_args ? read_args_rope(reader) : read_latent_rope(reader));
  HADAL_TRY(read_layers(reader, rope, d));
  // ModelArgs has the size of a run-time buffer; what the model was made for is YaRN's stretched length.
  if (reader.is_args && rope.original_tokens > 0 && rope.original_tokens <= kContextTokensMax && rope.factor <= 1e6) {
    d.context_tokens_max = static_cast<int64_t>(static_cast<double>(rope.original_tokens) * rope.factor);
  }
  return d;
}

}  // namespace hadal
