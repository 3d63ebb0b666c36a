// DeepSeek-V4's config -> ModelDescription.
//
// Source: the release's config.json, inference/model.py (ModelArgs and their defaults), and transformers'
// deepseek_v4 configuration for layer_types, compress_rates, mlp_layer_types and rope_parameters.
// Not here: DSpark's draft module. Its keys are accepted, and the model runs without drafts.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "model/config_reader.h"
#include "model/description_fields.h"

namespace hadal {
namespace {

constexpr std::string_view kFamily = "deepseek_v4";

// Ratio 4 is CSA with overlapping groups and an indexer; every other ratio is HCA (inference/model.py, Attention).
constexpr int64_t kCsaRatio = 4;

// compress_ratios may end in one entry per DSpark stage (3 in the released ones).
constexpr size_t kDraftEntriesMax = 16;

// --- sizes -----------------------------------------------------------------------------------------------------------

using D = ModelDescription;
constexpr std::nullopt_t kRequired = std::nullopt;

constexpr ConfigKey<int64_t> kIntKeys[] = {
    // clang-format off
    //member                  config.json                ModelArgs             ModelArgs' default  config.json's
    {&D::vocab_size,          "vocab_size",              "vocab_size",          129280,    kRequired},
    {&D::hidden,              "hidden_size",             "dim",                 4096,      kRequired},
    {&D::context_tokens_max,  "max_position_embeddings", "max_seq_len",         4096,      kRequired},
    {&D::n_heads,             "num_attention_heads",     "n_heads",             64,        kRequired},
    {&D::head_dim,            "head_dim",                "head_dim",            512,       kRequired},
    {&D::q_lora_rank,         "q_lora_rank",             "q_lora_rank",         1024,      kRequired},
    {&D::o_groups,            "o_groups",                "o_groups",            8,         kRequired},
    {&D::o_lora_rank,         "o_lora_rank",             "o_lora_rank",         1024,      kRequired},
    {&D::window,              "sliding_window",          "window_size",         128,       kRequired},
    {&D::index_n_heads,       "index_n_heads",           "index_n_heads",       64,        kRequired},
    {&D::index_head_dim,      "index_head_dim",          "index_head_dim",      128,       kRequired},
    {&D::index_topk,          "index_topk",              "index_topk",          512,       kRequired},
    {&D::n_routed_experts,    "n_routed_experts",        "n_routed_experts",    8,         kRequired},
    {&D::n_shared_experts,    "n_shared_experts",        "n_shared_experts",    1,         1},
    {&D::n_experts_per_token, "num_experts_per_tok",     "n_activated_experts", 2,         kRequired},
    {&D::moe_inter_dim,       "moe_intermediate_size",   "moe_inter_dim",       4096,      kRequired},
    {&D::hc_mult,             "hc_mult",                 "hc_mult",             4,         4},
    {&D::hc_sinkhorn_iters,   "hc_sinkhorn_iters",       "hc_sinkhorn_iters",   20,        20},
    // clang-format on
};
constexpr ConfigKey<double> kRealKeys[] = {
    // clang-format off
    {&D::rms_norm_eps,        "rms_norm_eps",            "norm_eps",            1e-6,      1e-6},
    {&D::hc_eps,              "hc_eps",                  "hc_eps",              1e-6,      1e-6},
    {&D::route_scale,         "routed_scaling_factor",   "route_scale",         1.0,       kRequired},
    {&D::swiglu_limit,        "swiglu_limit",            "swiglu_limit",        0.0,       kRequired},
    // clang-format on
};

// transformers folds qk_rope_head_dim into a share of head_dim: 0.125 for 64 of 512.
std::optional<int64_t> folded_rope_head_dim(const ConfigReader& reader) {
  const json::Value* factor = reader.member("partial_rotary_factor");
  const json::Value* head_dim = reader.member("head_dim");
  if (factor == nullptr || head_dim == nullptr) return std::nullopt;
  const double width = factor->as_double().value_or(-1) * head_dim->as_double().value_or(-1);
  if (!(width >= 0 && width <= 1 << 16 && width == std::floor(width))) return std::nullopt;
  return static_cast<int64_t>(width);
}

Result<void> read_sizes(const ConfigReader& reader, ModelDescription& d) {
  HADAL_TRY(read_numbers(reader, kIntKeys, d));
  HADAL_TRY(read_numbers(reader, kRealKeys, d));
  const std::string_view key = reader.key("qk_rope_head_dim", "rope_head_dim");
  const std::optional<int64_t> absent = reader.is_args ? std::optional<int64_t>(64) : folded_rope_head_dim(reader);
  HADAL_ASSIGN(d.rope_head_dim, reader.integer(key, absent));
  return {};
}

// --- rope ------------------------------------------------------------------------------------------------------------

// Layers without compression turn with the main base, the others with their own base and YaRN.
struct Ropes {
  RopeDescription main;
  RopeDescription compressed;
};

// config.json: rope_theta, compress_rope_theta and rope_scaling, or transformers' rope_parameters {main, compress}.
Result<Ropes> read_published_ropes(const ConfigReader& reader) {
  Ropes ropes;
  const json::Value* parameters = reader.member("rope_parameters");
  const json::Value* main = parameters == nullptr ? nullptr : ConfigReader::member(*parameters, "main");
  const json::Value* compress = parameters == nullptr ? nullptr : ConfigReader::member(*parameters, "compress");
  if (main != nullptr && compress != nullptr) {
    HADAL_ASSIGN(ropes.main.theta, reader.real(ConfigReader::member(*main, "rope_theta"),
                                               "rope_parameters.main.rope_theta", std::nullopt));
    HADAL_ASSIGN(ropes.compressed.theta, reader.real(ConfigReader::member(*compress, "rope_theta"),
                                                     "rope_parameters.compress.rope_theta", std::nullopt));
    HADAL_TRY(read_yarn(reader, *compress, "rope_parameters.compress", ropes.compressed));
    return ropes;
  }
  HADAL_ASSIGN(ropes.main.theta, reader.real("rope_theta", std::nullopt));
  HADAL_ASSIGN(ropes.compressed.theta, reader.real("compress_rope_theta", std::nullopt));
  if (const json::Value* scaling = reader.member("rope_scaling")) {
    HADAL_TRY(read_yarn(reader, *scaling, "rope_scaling", ropes.compressed));
  }
  return ropes;
}

Result<Ropes> read_args_ropes(const ConfigReader& reader) {
  Ropes ropes;
  HADAL_ASSIGN(ropes.main.theta, reader.real("rope_theta", 10000));
  HADAL_ASSIGN(ropes.compressed.theta, reader.real("compress_rope_theta", 40000));
  HADAL_ASSIGN(ropes.compressed.original_tokens, reader.integer("original_seq_len", 0));
  if (ropes.compressed.original_tokens == 0) return ropes;
  HADAL_ASSIGN(ropes.compressed.factor, reader.real("rope_factor", 40));
  HADAL_ASSIGN(ropes.compressed.beta_fast, reader.real("beta_fast", 32));
  HADAL_ASSIGN(ropes.compressed.beta_slow, reader.real("beta_slow", 1));
  return ropes;
}

// --- layers ----------------------------------------------------------------------------------------------------------

LayerDescription layer_of_ratio(int64_t ratio, const Ropes& ropes) {
  LayerDescription layer;
  layer.compress_ratio = static_cast<int>(ratio);
  if (ratio == 0) {
    layer.rope = ropes.main;
    return layer;
  }
  layer.attention = ratio == kCsaRatio ? AttentionKind::kCsa : AttentionKind::kHca;
  layer.compress_overlap = ratio == kCsaRatio;
  layer.rope = ropes.compressed;
  return layer;
}

// transformers' layer_types and compress_rates, for configs without compress_ratios.
Result<std::vector<int64_t>> ratios_of_layer_types(const ConfigReader& reader, const json::Value& types) {
  struct Type {
    std::string_view name;
    std::optional<int64_t> ratio;
  };
  std::array<Type, 3> known = {
      {{"sliding_attention", 0}, {"compressed_sparse_attention", {}}, {"heavily_compressed_attention", {}}}};
  if (const json::Value* rates = reader.member("compress_rates")) {
    for (Type& type : known) {
      if (type.ratio) continue;
      const json::Value* rate = ConfigReader::member(*rates, type.name);
      if (rate != nullptr) type.ratio = rate->as_int();
    }
  }
  std::vector<int64_t> ratios;
  for (const json::Value& item : types.items()) {
    const auto type =
        std::find_if(known.begin(), known.end(), [&](const Type& t) { return t.name == item.as_string(); });
    if (type == known.end()) {
      return reader.wrong(fmt::format("layer_types[{}]", ratios.size()),
                          fmt::format("\"{}\", \"{}\" or \"{}\"", known[0].name, known[1].name, known[2].name), &item,
                          ErrorCode::kUnsupported);
    }
    if (!type->ratio) return reader.wrong(fmt::format("compress_rates.{}", type->name), "an integer", nullptr);
    ratios.push_back(*type->ratio);
  }
  return ratios;
}

// One entry per trunk layer, then one per draft layer.
Result<std::vector<int64_t>> read_ratios(const ConfigReader& reader) {
  const json::Value* list = reader.member("compress_ratios");
  const json::Value* types = reader.member("layer_types");
  if (list == nullptr && types != nullptr && types->is_array()) return ratios_of_layer_types(reader, *types);
  // Without either, transformers would assume an order that no released model has.
  if (list == nullptr || !list->is_array()) return reader.wrong("compress_ratios", "a list: one ratio per layer", list);
  std::vector<int64_t> ratios;
  for (const json::Value& item : list->items()) {
    const std::optional<int64_t> ratio = item.as_int();
    if (!ratio || *ratio < 0 || *ratio > kCompressRatioMax) {
      return reader.wrong(fmt::format("compress_ratios[{}]", ratios.size()), fmt::format("0 to {}", kCompressRatioMax),
                          &item);
    }
    ratios.push_back(*ratio);
  }
  return ratios;
}

// The first n_hash_layers choose experts by token id (num_hash_layers, or mlp_layer_types of transformers).
Result<void> read_routers(const ConfigReader& reader, std::vector<LayerDescription>& layers) {
  const std::string_view key = reader.key("num_hash_layers", "n_hash_layers");
  const json::Value* types = reader.member("mlp_layer_types");
  if (reader.member(key) == nullptr && types != nullptr && types->items().size() == layers.size()) {
    for (size_t l = 0; l < layers.size(); ++l) {
      const std::string& type = types->items()[l].as_string();
      if (type != "hash_moe" && type != "moe") {
        return reader.wrong(fmt::format("mlp_layer_types[{}]", l), "\"hash_moe\" or \"moe\"", &types->items()[l],
                            ErrorCode::kUnsupported);
      }
      if (type == "hash_moe") layers[l].router = RouterKind::kHash;
    }
    return {};
  }
  HADAL_ASSIGN(const int64_t n_hash, reader.integer(key, 0));
  if (n_hash < 0 || n_hash > static_cast<int64_t>(layers.size())) {
    return reader.wrong(key, fmt::format("0 to the number of layers = {}", layers.size()), reader.member(key));
  }
  for (size_t l = 0; l < static_cast<size_t>(n_hash); ++l) layers[l].router = RouterKind::kHash;
  return {};
}

Result<void> read_layers(const ConfigReader& reader, const Ropes& ropes, ModelDescription& d) {
  const std::string_view layers_key = reader.key("num_hidden_layers", "n_layers");
  const std::string_view drafts_key = reader.key("num_nextn_predict_layers", "n_mtp_layers");
  HADAL_ASSIGN(const int64_t n_layers,
               read_layer_count(reader, reader.is_args ? std::optional<int64_t>(7) : std::nullopt));
  HADAL_ASSIGN(const std::vector<int64_t> ratios, read_ratios(reader));
  const auto n_trunk = static_cast<size_t>(n_layers);
  const size_t n_tail = ratios.size() < n_trunk ? 0 : ratios.size() - n_trunk;

  // DSpark's stages are not plain draft layers, and its config.json counts them wrongly (1 for 3).
  HADAL_ASSIGN(const int64_t dspark_block, reader.integer("dspark_block_size", 0));
  HADAL_ASSIGN(const int64_t n_said, reader.integer(drafts_key, static_cast<int64_t>(n_tail)));
  const int64_t n_drafts = dspark_block > 0 ? 0 : n_said;
  if (n_drafts < 0 || n_drafts > 1) {
    return reader.wrong(drafts_key, "0 or 1", reader.member(drafts_key),
                        n_drafts < 0 ? ErrorCode::kInvalid : ErrorCode::kUnsupported);
  }
  // The draft entries are always 0, and some writers leave them out.
  const bool is_tail_right =
      dspark_block > 0 ? n_tail <= kDraftEntriesMax : n_tail == 0 || n_tail == static_cast<size_t>(n_drafts);
  if (ratios.size() < n_trunk || !is_tail_right) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "config contradicts itself",
                 .in = fmt::format("{}: compress_ratios", reader.name),
                 .want = fmt::format("{} entries: {} = {}, {} = {}", n_layers + n_drafts, layers_key, n_layers,
                                     drafts_key, n_said),
                 .found = fmt::format("{} entries", ratios.size()),
                 .hint = ""};
  }
  if (std::any_of(ratios.begin() + n_layers, ratios.end(), [](int64_t ratio) { return ratio != 0; })) {
    return reader.wrong("compress_ratios", "0 for draft layers", reader.member("compress_ratios"));
  }
  for (size_t l = 0; l < n_trunk; ++l) d.layers.push_back(layer_of_ratio(ratios[l], ropes));
  d.mtp_layers.assign(static_cast<size_t>(n_drafts), layer_of_ratio(0, ropes));
  return read_routers(reader, d.layers);
}

}  // namespace

Result<std::vector<LayerDescription>> read_v4_attention(const ConfigReader& reader) {
  HADAL_ASSIGN(const Ropes ropes, read_published_ropes(reader));
  HADAL_ASSIGN(const std::vector<int64_t> ratios, read_ratios(reader));
  std::vector<LayerDescription> layers;
  for (const int64_t ratio : ratios) layers.push_back(layer_of_ratio(ratio, ropes));
  return layers;
}

Result<ModelDescription> parse_deepseek_v4(const ConfigReader& reader) {
  const ConfigAssumption assumptions[] = {
      {"num_key_value_heads", json::Value::number(int64_t{1})},
      {"attention_bias", json::Value::boolean(false)},
      {"hidden_act", json::Value::string("silu")},
      {"tie_word_embeddings", json::Value::boolean(false)},
      {"norm_topk_prob", json::Value::boolean(true)},
      {"topk_method", json::Value::string("noaux_tc")},
  };
  HADAL_TRY(check_assumptions(reader, assumptions));
  ModelDescription d;
  d.family = kFamily;
  d.n_expert_groups = d.n_limited_groups = 1;
  HADAL_TRY(read_sizes(reader, d));
  HADAL_ASSIGN(d.score_func, read_score_func(reader, ScoreFunc::kSqrtSoftplus));
  HADAL_ASSIGN(d.bos_token_id, read_token_id(reader, "bos_token_id"));
  HADAL_ASSIGN(d.eos_token_id, read_token_id(reader, "eos_token_id"));
  HADAL_TRY(read_quantization(reader, d));
  HADAL_ASSIGN(const Ropes ropes, reader.is_args ? read_args_ropes(reader) : read_published_ropes(reader));
  HADAL_TRY(read_layers(reader, ropes, d));
  // ModelArgs has the size of a run-time buffer; what the model was made for is YaRN's stretched length.
  if (reader.is_args && reader.member("max_seq_len") == nullptr && ropes.compressed.original_tokens > 0 &&
      ropes.compressed.original_tokens <= kContextTokensMax && ropes.compressed.factor <= 1e6) {
    d.context_tokens_max =
        static_cast<int64_t>(static_cast<double>(ropes.compressed.original_tokens) * ropes.compressed.factor);
  }
  return d;
}

}  // namespace hadal
