// Hadal's own config -> ModelDescription: the blocks of the V3 to V4.1 generation, combined layer by layer.
//
//   attention         mla | mla_dsa | v4    one for all layers, or a list with one per layer
//   ffn               dense | moe           likewise; or first_k_dense_replace
//   residual          plain | mhc           hc_schedule says which pre a sublayer reads with: same (V4) | next (V4.1)
//   engram_layer_ids  layers with an n-gram table before them (V4.1's form)
//
// Sizes have the keys of the model that their block comes from. Those of blocks that no layer has say nothing, so that
// one key switches a block off and the rest of a config stays. docs/hadal-family.md is the page.
// Not here, and refused by name: draft layers, Engram with its convolution (form "paper"), index keys that layers
// share.
#include <fmt/format.h>

#include <algorithm>

#include "model/config_reader.h"
#include "model/description_fields.h"

namespace hadal {
namespace {

using D = ModelDescription;
constexpr std::nullopt_t kRequired = std::nullopt;

// A config of this family has one spelling; the columns of ModelArgs repeat it.
constexpr ConfigKey<int64_t> int_key(int64_t D::*member, std::string_view key, std::optional<int64_t> absent) {
  return {member, key, key, absent, absent};
}
constexpr ConfigKey<int64_t> kIntKeys[] = {
    int_key(&D::vocab_size, "vocab_size", kRequired),
    int_key(&D::hidden, "hidden_size", kRequired),
    int_key(&D::context_tokens_max, "max_position_embeddings", kRequired),
    int_key(&D::n_heads, "num_attention_heads", kRequired),
    int_key(&D::q_lora_rank, "q_lora_rank", kRequired),
    int_key(&D::rope_head_dim, "qk_rope_head_dim", kRequired),
};
constexpr ConfigKey<int64_t> kMlaKeys[] = {
    int_key(&D::kv_lora_rank, "kv_lora_rank", kRequired),
    int_key(&D::qk_nope_head_dim, "qk_nope_head_dim", kRequired),
    int_key(&D::v_head_dim, "v_head_dim", kRequired),
};
constexpr ConfigKey<int64_t> kV4Keys[] = {
    int_key(&D::head_dim, "head_dim", kRequired),
    int_key(&D::o_groups, "o_groups", kRequired),
    int_key(&D::o_lora_rank, "o_lora_rank", kRequired),
    int_key(&D::window, "sliding_window", kRequired),
};
constexpr ConfigKey<int64_t> kIndexerKeys[] = {
    int_key(&D::index_n_heads, "index_n_heads", kRequired),
    int_key(&D::index_head_dim, "index_head_dim", kRequired),
    int_key(&D::index_topk, "index_topk", kRequired),
};
constexpr ConfigKey<int64_t> kCandidateKeys[] = {
    int_key(&D::candidate_topk_blocks, "candidate_topk_blocks", 2048),
    int_key(&D::candidate_block_size, "candidate_block_size", 8),
};
constexpr ConfigKey<int64_t> kDenseKeys[] = {int_key(&D::inter_dim, "intermediate_size", kRequired)};
constexpr ConfigKey<int64_t> kMoeKeys[] = {
    int_key(&D::n_routed_experts, "n_routed_experts", kRequired),
    int_key(&D::n_shared_experts, "n_shared_experts", 1),
    int_key(&D::n_experts_per_token, "num_experts_per_tok", kRequired),
    int_key(&D::moe_inter_dim, "moe_intermediate_size", kRequired),
    int_key(&D::n_expert_groups, "n_group", 1),
    int_key(&D::n_limited_groups, "topk_group", 1),
};
constexpr ConfigKey<int64_t> kHyperConnectionKeys[] = {
    int_key(&D::hc_mult, "hc_mult", 4),
    int_key(&D::hc_sinkhorn_iters, "hc_sinkhorn_iters", 20),
};
constexpr ConfigKey<int64_t> kEngramKeys[] = {
    int_key(&D::engram_vocab_size, "engram_vocab_size", 0),
    int_key(&D::engram_max_ngram, "engram_max_ngram_size", 0),
    int_key(&D::engram_n_heads, "engram_n_heads", 0),
    int_key(&D::engram_head_dim, "engram_head_dim", 0),
    int_key(&D::engram_n_classes, "engram_compressed_vocab_size", 0),
};

// --- words -----------------------------------------------------------------------------------------------------------

template <class Value>
struct Word {
  std::string_view word;
  Value value;
};
constexpr Word<ResidualKind> kResiduals[] = {
    {"plain", ResidualKind::kPlain},
    {"mhc", ResidualKind::kHyperConnections},
};
constexpr Word<ResidualKind> kSchedules[] = {
    {"same", ResidualKind::kHyperConnections},
    {"next", ResidualKind::kLaggedHyperConnections},
};
constexpr Word<FfnKind> kFfns[] = {{"dense", FfnKind::kDense}, {"moe", FfnKind::kMoe}};
// Which of V4's three a layer has is said by its compress ratio.
constexpr Word<AttentionKind> kAttentions[] = {
    {"mla", AttentionKind::kMla},
    {"mla_dsa", AttentionKind::kDsa},
    {"v4", AttentionKind::kWindow},
};

template <class Value, size_t n>
Result<Value> read_word(const ConfigReader& reader, std::string_view key, const json::Value* value,
                        const Word<Value> (&words)[n]) {
  std::vector<std::string> known;
  for (const Word<Value>& word : words) {
    if (value != nullptr && value->is_string() && value->as_string() == word.word) return word.value;
    known.push_back(fmt::format("\"{}\"", word.word));
  }
  return reader.wrong(key, fmt::format("{}", fmt::join(known, ", ")), value);
}

// One word for all layers, or a list with one for each.
template <class Value, size_t n>
Result<std::vector<Value>> read_words(const ConfigReader& reader, std::string_view key, const Word<Value> (&words)[n],
                                      int64_t n_layers) {
  std::vector<Value> values;
  const json::Value* value = reader.member(key);
  if (value == nullptr || !value->is_array()) {
    HADAL_ASSIGN(const Value all, read_word(reader, key, value, words));
    values.assign(static_cast<size_t>(n_layers), all);
    return values;
  }
  if (static_cast<int64_t>(value->items().size()) != n_layers) {
    return contradiction(reader, key, fmt::format("{} entries: one for each of num_hidden_layers", n_layers),
                         fmt::format("{} entries", value->items().size()));
  }
  for (const json::Value& item : value->items()) {
    HADAL_ASSIGN(const Value one, read_word(reader, fmt::format("{}[{}]", key, values.size()), &item, words));
    values.push_back(one);
  }
  return values;
}

// --- layers ----------------------------------------------------------------------------------------------------------

Result<void> read_latent_attention(const ConfigReader& reader, const std::vector<AttentionKind>& kinds, D& d) {
  HADAL_TRY(read_numbers(reader, kMlaKeys, d));
  LayerDescription layer;
  layer.compress_ratio = 1;
  HADAL_ASSIGN(layer.rope, read_latent_rope(reader));
  for (const AttentionKind kind : kinds) {
    layer.attention = kind;
    d.layers.push_back(layer);
  }
  return {};
}

Result<void> read_window_attention(const ConfigReader& reader, D& d) {
  HADAL_TRY(read_numbers(reader, kV4Keys, d));
  const size_t n_layers = d.layers.size();
  HADAL_ASSIGN(d.layers, read_v4_attention(reader));
  if (d.layers.size() == n_layers) return {};
  return contradiction(reader, "compress_ratios",
                       fmt::format("{} entries: one for each of num_hidden_layers", n_layers),
                       fmt::format("{} entries", d.layers.size()));
}

Result<void> read_attention(const ConfigReader& reader, int64_t n_layers, D& d) {
  HADAL_ASSIGN(const std::vector<AttentionKind> kinds, read_words(reader, "attention", kAttentions, n_layers));
  for (size_t l = 1; l < kinds.size(); ++l) {
    if (is_mla(kinds[l]) == is_mla(kinds[0])) continue;
    const std::string_view first = is_mla(kinds[0]) ? "latents (mla, mla_dsa)" : "shared heads (v4)";
    return contradiction(reader, fmt::format("attention[{}]", l),
                         fmt::format("{} as in layer 0: rows of all layers' caches have one width", first),
                         is_mla(kinds[l]) ? "latents" : "shared heads");
  }
  if (is_mla(kinds[0])) {
    HADAL_TRY(read_latent_attention(reader, kinds, d));
  } else {
    d.layers.resize(static_cast<size_t>(n_layers));
    HADAL_TRY(read_window_attention(reader, d));
  }
  if (has_part(d, ModelPart::kIndexer)) HADAL_TRY(read_numbers(reader, kIndexerKeys, d));
  return {};
}

// Two levels: the DSA layers behind the one that names blocks of positions score anew within those blocks only.
Result<void> read_candidates(const ConfigReader& reader, D& d) {
  std::vector<int64_t> indexed;
  for (size_t l = 0; l < d.layers.size(); ++l) {
    if (d.layers[l].attention == AttentionKind::kDsa) indexed.push_back(static_cast<int64_t>(l));
  }
  constexpr std::string_view kKeysKey = "index_key_source_layer_ids";
  HADAL_ASSIGN(const std::vector<int64_t> sources,
               read_layer_list(reader, kKeysKey, static_cast<int64_t>(d.layers.size())));
  if (reader.member(kKeysKey) != nullptr && sources != indexed) {
    return reader.wrong(kKeysKey, fmt::format("all layers with mla_dsa: [{}]", fmt::join(indexed, ", ")),
                        reader.member(kKeysKey), ErrorCode::kUnsupported);
  }
  constexpr std::string_view kSourceKey = "candidate_source_layer_id";
  HADAL_ASSIGN(const int64_t source, reader.integer(kSourceKey, -1));
  if (source == -1) return {};
  if (!std::binary_search(indexed.begin(), indexed.end(), source)) {
    return reader.wrong(kSourceKey, "-1 (none) or a layer with mla_dsa", reader.member(kSourceKey));
  }
  for (const int64_t l : indexed) {
    if (l < source) continue;
    d.layers[static_cast<size_t>(l)].candidates = l == source ? CandidateRole::kMakes : CandidateRole::kTakes;
  }
  HADAL_TRY(read_numbers(reader, kCandidateKeys, d));
  return check_candidates(reader, d);
}

Result<void> read_ffn(const ConfigReader& reader, D& d) {
  const auto n_layers = static_cast<int64_t>(d.layers.size());
  constexpr std::string_view kCountKey = "first_k_dense_replace";
  const json::Value* count = reader.member(kCountKey);
  if (count != nullptr && reader.member("ffn") != nullptr) {
    return contradiction(reader, kCountKey, "nothing: ffn says which layers are dense", json::excerpt(*count));
  }
  if (count != nullptr) {
    HADAL_ASSIGN(const int64_t n_dense, reader.integer(kCountKey, kRequired));
    if (n_dense < 0 || n_dense > n_layers) {
      return reader.wrong(kCountKey, fmt::format("0 to num_hidden_layers = {}", n_layers), count);
    }
    for (size_t l = 0; l < static_cast<size_t>(n_dense); ++l) d.layers[l].ffn = FfnKind::kDense;
  } else {
    HADAL_ASSIGN(const std::vector<FfnKind> kinds, read_words(reader, "ffn", kFfns, n_layers));
    for (size_t l = 0; l < kinds.size(); ++l) d.layers[l].ffn = kinds[l];
  }
  if (has_part(d, ModelPart::kDenseFfn)) HADAL_TRY(read_numbers(reader, kDenseKeys, d));
  if (!has_part(d, ModelPart::kMoe)) return {};
  HADAL_TRY(read_numbers(reader, kMoeKeys, d));
  HADAL_ASSIGN(d.route_scale, reader.real("routed_scaling_factor", kRequired));
  HADAL_ASSIGN(d.score_func, read_score_func(reader, ScoreFunc::kSigmoid));
  if (d.score_func != ScoreFunc::kSoftmax) return {};
  return reader.wrong("scoring_func", "\"sigmoid\" or \"sqrtsoftplus\", whose weights are normed to 1",
                      reader.member("scoring_func"), ErrorCode::kUnsupported);
}

// --- residual, numbers -----------------------------------------------------------------------------------------------

Result<void> read_residual(const ConfigReader& reader, D& d) {
  HADAL_ASSIGN(d.residual, read_word(reader, "residual", reader.member("residual"), kResiduals));
  if (d.residual == ResidualKind::kPlain) {
    d.hc_mult = 1;
    return {};
  }
  d.residual = ResidualKind::kLaggedHyperConnections;
  if (const json::Value* schedule = reader.member("hc_schedule")) {
    HADAL_ASSIGN(d.residual, read_word(reader, "hc_schedule", schedule, kSchedules));
  }
  HADAL_TRY(read_numbers(reader, kHyperConnectionKeys, d));
  HADAL_ASSIGN(d.hc_eps, reader.real("hc_eps", 1e-6));
  if (d.hc_mult != 1) return {};
  // One stream is still read and written through sigmoids: not what "plain" computes.
  return contradiction(reader, "hc_mult", "2 or more with residual \"mhc\"; one stream is residual \"plain\"", "1");
}

// Activations share scales as the weights do, in blocks of 128 or 32.
Result<void> read_formats(const ConfigReader& reader, D& d) {
  d.activation_scale = ActivationScale::kFloat;
  HADAL_TRY(read_quantization(reader, d));
  if (d.weight_block_rows != 32) return {};
  constexpr std::string_view kBlockKey = "quantization_config.weight_block_size";
  if (!d.has_mla()) {
    return contradiction(reader, kBlockKey, "[128, 128] with attention \"v4\", whose cache is rounded by 64 channels",
                         "[32, 32]");
  }
  if (d.activation_scale != ActivationScale::kPowerOfTwo) {
    return contradiction(reader, "quantization_config.scale_fmt",
                         "\"ue8m0\" with weight_block_size [32, 32]: those blocks have scales of powers of two",
                         "nothing");
  }
  d.activation_block = 32;
  return {};
}

}  // namespace

Result<ModelDescription> parse_hadal(const ConfigReader& any_style) {
  const ConfigReader reader{.root = any_style.root, .name = any_style.name, .is_args = false};
  const json::Value* version = reader.member("hadal_version");
  if (version == nullptr || version->as_int() != 1) {
    return reader.wrong("hadal_version", "1", version,
                        version == nullptr ? ErrorCode::kInvalid : ErrorCode::kUnsupported);
  }
  const ConfigAssumption assumptions[] = {
      {"attention_bias", json::Value::boolean(false)},
      {"hidden_act", json::Value::string("silu")},
      {"tie_word_embeddings", json::Value::boolean(false)},
      {"norm_topk_prob", json::Value::boolean(true)},
      {"num_hash_layers", json::Value::number(int64_t{0})},
      {"num_nextn_predict_layers", json::Value::number(int64_t{0})},
      {"index_hadamard", json::Value::boolean(true)},
      {"index_rope", json::Value::string("first_half")},
      {"index_norm", json::Value::string("layernorm")},
      {"engram_form", json::Value::string("v41")},
      {"engram_seed", json::Value::number(int64_t{0})},
  };
  HADAL_TRY(check_assumptions(reader, assumptions));
  ModelDescription d;
  d.family = "hadal";
  HADAL_TRY(read_numbers(reader, kIntKeys, d));
  HADAL_ASSIGN(d.rms_norm_eps, reader.real("rms_norm_eps", 1e-6));
  HADAL_ASSIGN(d.swiglu_limit, reader.real("swiglu_limit", 0));
  HADAL_ASSIGN(d.bos_token_id, read_token_id(reader, "bos_token_id"));
  HADAL_ASSIGN(d.eos_token_id, read_token_id(reader, "eos_token_id"));
  HADAL_ASSIGN(const int64_t n_layers, read_layer_count(reader, kRequired));
  HADAL_TRY(read_attention(reader, n_layers, d));
  HADAL_TRY(read_candidates(reader, d));
  HADAL_TRY(read_ffn(reader, d));
  HADAL_TRY(read_residual(reader, d));
  HADAL_TRY(read_formats(reader, d));
  HADAL_TRY(read_numbers(reader, kEngramKeys, d));
  HADAL_TRY(read_engram(reader, d));
  return d;
}

}  // namespace hadal
