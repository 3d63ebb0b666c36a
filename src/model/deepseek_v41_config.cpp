// DeepSeek-V4.1's config -> ModelDescription.
//
// config.json is composite: text_config has the language model, quantization_config stands beside it. Source: the
// release's config.json and inference/model.py (ModelArgs), transformers' deepseek_v41 configuration.
// Not here: vision_config (text only; weight_set.h says what becomes of its tensors), and DSpark's draft stages, whose
// keys are accepted: the model runs without drafts.
#include <fmt/format.h>

#include <algorithm>

#include "model/config_reader.h"
#include "model/description_fields.h"

namespace hadal {
namespace {

using D = ModelDescription;
constexpr std::nullopt_t kRequired = std::nullopt;

constexpr ConfigKey<int64_t> kIntKeys[] = {
    // clang-format off
    //member                  config.json                ModelArgs             ModelArgs' default  config.json's
    {&D::vocab_size,          "vocab_size",              "vocab_size",          kRequired, kRequired},
    {&D::hidden,              "hidden_size",             "dim",                 kRequired, kRequired},
    {&D::context_tokens_max,  "max_position_embeddings", "max_seq_len",         4096,      kRequired},
    {&D::n_heads,             "num_attention_heads",     "n_heads",             kRequired, kRequired},
    {&D::head_dim,            "head_dim",                "head_dim",            kRequired, kRequired},
    {&D::rope_head_dim,       "qk_rope_head_dim",        "rope_head_dim",       kRequired, kRequired},
    {&D::q_lora_rank,         "q_lora_rank",             "q_lora_rank",         kRequired, kRequired},
    {&D::o_groups,            "o_groups",                "o_groups",            kRequired, kRequired},
    {&D::o_lora_rank,         "o_lora_rank",             "o_lora_rank",         kRequired, kRequired},
    {&D::window,              "sliding_window",          "window_size",         kRequired, kRequired},
    {&D::index_n_heads,       "index_n_heads",           "index_n_heads",       kRequired, kRequired},
    {&D::index_head_dim,      "index_head_dim",          "index_head_dim",      kRequired, kRequired},
    {&D::index_topk,          "index_topk",              "index_topk",          kRequired, kRequired},
    {&D::candidate_topk_blocks, "candidate_topk_blocks", "candidate_topk_blocks", 0,       0},
    {&D::candidate_block_size, "candidate_block_size",   "candidate_block_size", 0,        0},
    {&D::n_routed_experts,    "n_routed_experts",        "n_routed_experts",    kRequired, kRequired},
    {&D::n_shared_experts,    "n_shared_experts",        "n_shared_experts",    1,         1},
    {&D::n_experts_per_token, "num_experts_per_tok",     "n_activated_experts", kRequired, kRequired},
    {&D::moe_inter_dim,       "moe_intermediate_size",   "moe_inter_dim",       kRequired, kRequired},
    {&D::hc_mult,             "hc_mult",                 "hc_mult",             4,         4},
    {&D::hc_sinkhorn_iters,   "hc_sinkhorn_iters",       "hc_sinkhorn_iters",   20,        20},
    {&D::engram_vocab_size,   "engram_vocab_size",       "engram_vocab_size",   0,         0},
    {&D::engram_max_ngram,    "engram_max_ngram_size",   "engram_max_ngram_size", 0,       0},
    {&D::engram_n_heads,      "engram_n_heads",          "engram_n_heads",      0,         0},
    {&D::engram_head_dim,     "engram_head_dim",         "engram_head_dim",     0,         0},
    {&D::engram_n_classes,    "engram_compressed_vocab_size", "engram_compressed_vocab_size", 0, 0},
    // clang-format on
};
constexpr ConfigKey<double> kRealKeys[] = {
    // clang-format off
    {&D::rms_norm_eps,        "rms_norm_eps",            "norm_eps",            kRequired, kRequired},
    {&D::hc_eps,              "hc_eps",                  "hc_eps",              1e-6,      1e-6},
    {&D::route_scale,         "routed_scaling_factor",   "route_scale",         kRequired, kRequired},
    {&D::swiglu_limit,        "swiglu_limit",            "swiglu_limit",        kRequired, kRequired},
    // clang-format on
};

bool contains(const std::vector<int64_t>& layers, size_t layer) {
  return std::binary_search(layers.begin(), layers.end(), static_cast<int64_t>(layer));
}

// --- layers ----------------------------------------------------------------------------------------------------------

struct Ropes {
  RopeDescription main;        // of layers without entries
  RopeDescription compressed;  // of the others
};

Result<Ropes> read_ropes(const ConfigReader& reader) {
  Ropes ropes;
  HADAL_ASSIGN(ropes.main.theta, reader.real("rope_theta", 10000));
  HADAL_ASSIGN(ropes.compressed.theta, reader.real("compress_rope_theta", std::nullopt));
  if (!reader.is_args) {
    const json::Value* scaling = reader.member("rope_scaling");
    if (scaling != nullptr) HADAL_TRY(read_yarn(reader, *scaling, "rope_scaling", ropes.compressed));
    return ropes;
  }
  HADAL_ASSIGN(ropes.compressed.original_tokens, reader.integer("original_seq_len", 0));
  if (ropes.compressed.original_tokens == 0) return ropes;
  HADAL_ASSIGN(ropes.compressed.factor, reader.real("rope_factor", std::nullopt));
  HADAL_ASSIGN(ropes.compressed.beta_fast, reader.real("beta_fast", 32));
  HADAL_ASSIGN(ropes.compressed.beta_slow, reader.real("beta_slow", 1));
  return ropes;
}

struct Sources {
  std::vector<int64_t> kv;     // layers with entries of their own
  std::vector<int64_t> index;  // layers that choose entries
  int64_t candidates = -1;     // the one that makes the candidates
};

Result<Sources> read_sources(const ConfigReader& reader, int64_t n_layers) {
  Sources sources;
  HADAL_ASSIGN(sources.kv, read_layer_list(reader, reader.key("kv_source_layer_ids", "kv_source_layers"), n_layers));
  HADAL_ASSIGN(sources.index,
               read_layer_list(reader, reader.key("index_source_layer_ids", "index_source_layers"), n_layers));
  const std::string_view key = reader.key("candidate_source_layer_id", "candidate_source_layer");
  HADAL_ASSIGN(sources.candidates, reader.integer(key, -1));
  if (sources.candidates < -1 || sources.candidates >= n_layers) {
    return reader.wrong(key, fmt::format("-1 (none) to {}", n_layers - 1), reader.member(key));
  }
  return sources;
}

// Every layer with entries takes those of the last kv source at or before it, and the choice of the last index source.
Result<void> assign_sources(const ConfigReader& reader, const Sources& sources, std::vector<LayerDescription>& layers) {
  const std::string_view kv_key = reader.key("kv_source_layer_ids", "kv_source_layers");
  const std::string_view index_key = reader.key("index_source_layer_ids", "index_source_layers");
  const std::string_view candidate_key = reader.key("candidate_source_layer_id", "candidate_source_layer");
  int kv_source = -1;
  int index_source = -1;
  for (size_t l = 0; l < layers.size(); ++l) {
    LayerDescription& layer = layers[l];
    const bool is_kv_source = contains(sources.kv, l);
    const bool is_index_source = contains(sources.index, l);
    const bool is_candidate_source = sources.candidates == static_cast<int64_t>(l);
    if ((is_kv_source || is_index_source) && layer.compress_ratio == 0) {
      return contradiction(reader, is_kv_source ? kv_key : index_key, "layers with a compress ratio above 0",
                           fmt::format("layer {}, whose ratio is 0", l));
    }
    if (is_kv_source && !is_index_source) {
      return contradiction(reader, index_key,
                           fmt::format("layer {} too: it is a kv source, nobody else knows its entries", l),
                           "not among them");
    }
    if (is_candidate_source && !is_kv_source) {
      return contradiction(reader, candidate_key, "a kv and index source", fmt::format("layer {}", l));
    }
    if (layer.compress_ratio == 0) continue;
    if (is_kv_source) kv_source = static_cast<int>(l);
    if (is_index_source) index_source = static_cast<int>(l);
    if (kv_source < 0 || layers[static_cast<size_t>(kv_source)].compress_ratio != layer.compress_ratio) {
      return contradiction(
          reader, kv_key,
          fmt::format("a source at or before layer {} with its compress ratio {}", l, layer.compress_ratio),
          kv_source < 0
              ? "none"
              : fmt::format("layer {} with {}", kv_source, layers[static_cast<size_t>(kv_source)].compress_ratio));
    }
    if (!is_kv_source) layer.entries_layer = kv_source;
    if (!is_index_source) layer.chosen_layer = index_source;
    if (is_candidate_source) layer.candidates = CandidateRole::kMakes;
    const bool is_behind_candidates = sources.candidates >= 0 && static_cast<int64_t>(l) > sources.candidates;
    if (is_behind_candidates && is_index_source) {
      if (kv_source != sources.candidates) {
        return contradiction(reader, candidate_key,
                             fmt::format("the source of the entries of layer {}, which looks into the candidates", l),
                             fmt::format("layer {}, but those entries are layer {}'s", sources.candidates, kv_source));
      }
      layer.candidates = CandidateRole::kTakes;
    }
  }
  return {};
}

Result<void> read_layers(const ConfigReader& reader, const Ropes& ropes, ModelDescription& d) {
  HADAL_ASSIGN(const int64_t n_layers, read_layer_count(reader, std::nullopt));
  HADAL_ASSIGN(const std::vector<int64_t> ratios, read_list(reader, "compress_ratios", 0, kCompressRatioMax));
  // DSpark's stages have an entry each behind the trunk's.
  const std::string_view drafts_key = reader.key("num_nextn_predict_layers", "n_mtp_layers");
  HADAL_ASSIGN(const int64_t n_drafts, reader.integer(drafts_key, 0));
  const auto n_ratios = static_cast<int64_t>(ratios.size());
  if (n_drafts < 0 || n_drafts > kLayersMax) {
    return reader.wrong(drafts_key, fmt::format("0 to {}", kLayersMax), reader.member(drafts_key));
  }
  if (n_ratios != n_layers && n_ratios != n_layers + n_drafts) {
    return contradiction(reader, "compress_ratios",
                         fmt::format("{} entries: {} layers and {} drafts", n_layers + n_drafts, n_layers, n_drafts),
                         fmt::format("{} entries", n_ratios));
  }
  for (int64_t l = 0; l < n_layers; ++l) {
    LayerDescription layer;
    layer.compress_ratio = static_cast<int>(ratios[static_cast<size_t>(l)]);
    layer.attention = layer.compress_ratio == 0 ? AttentionKind::kWindow : AttentionKind::kCsa2;
    layer.rope = layer.compress_ratio == 0 ? ropes.main : ropes.compressed;
    d.layers.push_back(layer);
  }
  HADAL_ASSIGN(const Sources sources, read_sources(reader, n_layers));
  HADAL_TRY(assign_sources(reader, sources, d.layers));
  return check_candidates(reader, d);
}

Result<ModelDescription> parse_text(const ConfigReader& reader) {
  const ConfigAssumption assumptions[] = {
      {"num_key_value_heads", json::Value::number(int64_t{1})},
      {"attention_bias", json::Value::boolean(false)},
      {"hidden_act", json::Value::string("silu")},
      {"tie_word_embeddings", json::Value::boolean(false)},
      {"norm_topk_prob", json::Value::boolean(true)},
      {"topk_method", json::Value::string("noaux_tc")},
  };
  HADAL_TRY(check_assumptions(reader, assumptions));
  HADAL_ASSIGN(const double gate_temp, reader.real("gate_temp", 1.0));
  if (gate_temp != 1.0) return reader.wrong("gate_temp", "1.0", reader.member("gate_temp"), ErrorCode::kUnsupported);
  ModelDescription d;
  d.family = "deepseek_v41";
  d.residual = ResidualKind::kLaggedHyperConnections;
  d.has_query_norm = false;
  d.activation_block = 32;
  d.n_expert_groups = d.n_limited_groups = 1;
  HADAL_TRY(read_numbers(reader, kIntKeys, d));
  HADAL_TRY(read_numbers(reader, kRealKeys, d));
  HADAL_ASSIGN(d.score_func, read_score_func(reader, ScoreFunc::kSqrtSoftplus));
  HADAL_ASSIGN(d.bos_token_id, read_token_id(reader, "bos_token_id"));
  HADAL_ASSIGN(d.eos_token_id, read_token_id(reader, "eos_token_id"));
  HADAL_ASSIGN(const Ropes ropes, read_ropes(reader));
  HADAL_TRY(read_layers(reader, ropes, d));
  HADAL_TRY(read_engram(reader, d));
  return d;
}

}  // namespace

Result<ModelDescription> parse_deepseek_v41(const ConfigReader& reader) {
  const json::Value* text = reader.member("text_config");
  const ConfigReader text_reader{
      .root = text == nullptr ? reader.root : *text, .name = reader.name, .is_args = reader.is_args};
  HADAL_ASSIGN(ModelDescription d, parse_text(text_reader));
  HADAL_TRY(read_quantization(reader, d));
  return d;
}

}  // namespace hadal
