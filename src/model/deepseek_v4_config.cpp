// DeepSeek-V4's config -> ModelDescription: config.json of the published repository (transformers' keys) and
// inference/config.json (ModelArgs of the official code), told apart by the key of the model's width.
//
// Source: the release's config.json, inference/model.py (ModelArgs and their defaults), and transformers'
// deepseek_v4 configuration for layer_types, compress_rates, mlp_layer_types and rope_parameters.
// Not here: DSpark's draft module. Its keys are accepted, and the model runs without drafts.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "model/description_fields.h"
#include "model/model_description.h"

namespace hadal {
namespace {

constexpr std::string_view kFamily = "deepseek_v4";
constexpr std::string_view kArchitecture = "DeepseekV4ForCausalLM";

// Ratio 4 is CSA with overlapping groups and an indexer; every other ratio is HCA (inference/model.py, Attention).
constexpr int64_t kCsaRatio = 4;

// compress_ratios may end in one entry per DSpark stage (3 in the released ones).
constexpr size_t kDraftEntriesMax = 16;

struct ConfigReader {
  const json::Value& root;
  std::string_view name;
  bool is_args;  // ModelArgs' keys, not transformers'

  std::string_view key(std::string_view published, std::string_view args) const { return is_args ? args : published; }

  Error wrong(std::string_view key, std::string want, const json::Value* found,
              ErrorCode code = ErrorCode::kInvalid) const {
    return Error{.code = code,
                 .what = found == nullptr ? "config lacks a key" : "config has a wrong value",
                 .in = fmt::format("{}: {}", name, key),
                 .want = std::move(want),
                 .found = found == nullptr ? "nothing" : json::excerpt(*found),
                 .hint = ""};
  }

  // A member that is there and not null (transformers writes null for "not set"), or null.
  static const json::Value* member(const json::Value& object, std::string_view key) {
    const json::Value* value = object.find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  const json::Value* member(std::string_view key) const { return member(root, key); }

  Result<int64_t> integer(const json::Value* value, std::string_view key, std::optional<int64_t> absent) const {
    if (value == nullptr && absent) return *absent;
    const std::optional<int64_t> v = value == nullptr ? std::nullopt : value->as_int();
    if (!v) return wrong(key, "an integer", value);
    return *v;
  }

  Result<double> real(const json::Value* value, std::string_view key, std::optional<double> absent) const {
    if (value == nullptr && absent) return *absent;
    const std::optional<double> v = value == nullptr ? std::nullopt : value->as_double();
    if (!v || !std::isfinite(*v)) return wrong(key, "a number", value);
    return *v;
  }

  Result<int64_t> integer(std::string_view key, std::optional<int64_t> absent) const {
    return integer(member(key), key, absent);
  }
  Result<double> real(std::string_view key, std::optional<double> absent) const {
    return real(member(key), key, absent);
  }
};

// --- which model, which style ----------------------------------------------------------------------------------------

Error unknown_architecture(std::string_view name, std::string_view key, std::string found) {
  return Error{.code = ErrorCode::kUnsupported,
               .what = "unknown architecture",
               .in = fmt::format("{}: {}", name, key),
               .want = fmt::format("{} ({})", kFamily, kArchitecture),
               .found = std::move(found),
               .hint = "Hadal runs models of the DeepSeek-V4 generation"};
}

// Keys that only another family's ModelArgs has; those carry no model_type.
constexpr std::array kForeignArgs = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"kv_lora_rank", "DeepSeek-V3 or V3.2"},
    {"engram_layer_ids", "DeepSeek-V4.1"},
});

Result<void> check_architecture(const ConfigReader& reader) {
  if (const json::Value* type = reader.member("model_type")) {
    if (!type->is_string() || type->as_string() != kFamily) {
      return unknown_architecture(reader.name, "model_type", json::excerpt(*type));
    }
  } else if (const json::Value* list = reader.member("architectures")) {
    const bool is_ours =
        list->is_array() && std::any_of(list->items().begin(), list->items().end(),
                                        [](const json::Value& v) { return v.as_string() == kArchitecture; });
    if (!is_ours) return unknown_architecture(reader.name, "architectures", json::excerpt(*list));
  } else if (!reader.is_args) {
    return unknown_architecture(reader.name, "model_type", "nothing");
  }
  for (const auto& [key, family] : kForeignArgs) {
    if (reader.is_args && reader.member(key) != nullptr)
      return unknown_architecture(reader.name, key, fmt::format("a key of {}", family));
  }
  return {};
}

// What the forward pass takes for granted. Absent means the same.
Result<void> check_assumptions(const ConfigReader& reader) {
  struct Assumption {
    std::string_view key;
    json::Value value;
  };
  const Assumption assumptions[] = {
      {"num_key_value_heads", json::Value::number(int64_t{1})},
      {"attention_bias", json::Value::boolean(false)},
      {"hidden_act", json::Value::string("silu")},
      {"tie_word_embeddings", json::Value::boolean(false)},
      {"norm_topk_prob", json::Value::boolean(true)},
      {"topk_method", json::Value::string("noaux_tc")},
  };
  for (const Assumption& assumption : assumptions) {
    const json::Value* value = reader.member(assumption.key);
    if (value == nullptr || *value == assumption.value) continue;
    return reader.wrong(assumption.key, json::dump(assumption.value), value, ErrorCode::kUnsupported);
  }
  return {};
}

// --- sizes -----------------------------------------------------------------------------------------------------------

// transformers folds qk_rope_head_dim into a share of head_dim: 0.125 for 64 of 512.
std::optional<int64_t> folded_rope_head_dim(const ConfigReader& reader) {
  const json::Value* factor = reader.member("partial_rotary_factor");
  const json::Value* head_dim = reader.member("head_dim");
  if (factor == nullptr || head_dim == nullptr) return std::nullopt;
  const double width = factor->as_double().value_or(-1) * head_dim->as_double().value_or(-1);
  if (!(width >= 0 && width <= 1 << 16 && width == std::floor(width))) return std::nullopt;
  return static_cast<int64_t>(width);
}

Result<void> read_fields(const ConfigReader& reader, ModelDescription& d) {
  for (const IntField& field : int_fields()) {
    const std::string_view key = reader.key(field.key, field.args_key);
    std::optional<int64_t> absent = reader.is_args ? field.args_default : field.default_value;
    if (field.member == &ModelDescription::rope_head_dim && !reader.is_args) absent = folded_rope_head_dim(reader);
    HADAL_ASSIGN(d.*field.member, reader.integer(key, absent));
  }
  for (const RealField& field : real_fields()) {
    const std::string_view key = reader.key(field.key, field.args_key);
    HADAL_ASSIGN(d.*field.member, reader.real(key, reader.is_args ? field.args_default : field.default_value));
  }
  return {};
}

Result<ScoreFunc> read_score_func(const ConfigReader& reader) {
  const std::string_view key = reader.key("scoring_func", "score_func");
  const json::Value* value = reader.member(key);
  if (value == nullptr) return ScoreFunc::kSqrtSoftplus;
  for (const ScoreFunc func : {ScoreFunc::kSqrtSoftplus, ScoreFunc::kSigmoid, ScoreFunc::kSoftmax}) {
    if (value->is_string() && value->as_string() == score_func_name(func)) return func;
  }
  return reader.wrong(key, "\"sqrtsoftplus\", \"sigmoid\" or \"softmax\"", value, ErrorCode::kUnsupported);
}

// One id, or the first of a list (generation configs name several ends); -1 when absent.
Result<int32_t> read_token_id(const ConfigReader& reader, std::string_view key) {
  const json::Value* value = reader.member(key);
  if (value != nullptr && value->is_array() && !value->items().empty()) value = &value->items().front();
  HADAL_ASSIGN(const int64_t id, reader.integer(value, key, -1));
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  if (id < -1) return reader.wrong(key, "-1 (none) or more", value);
  if (id > kMax) return reader.wrong(key, fmt::format("at most {}", kMax), value);
  return static_cast<int32_t>(id);
}

Result<void> read_quantization(const ConfigReader& reader, ModelDescription& d) {
  const json::Value* config = reader.member("quantization_config");
  if (config == nullptr) return {};
  const json::Value* method = ConfigReader::member(*config, "quant_method");
  if (method == nullptr || method->as_string() != "fp8") {
    return reader.wrong("quantization_config.quant_method", "\"fp8\"", method, ErrorCode::kUnsupported);
  }
  const json::Value* format = ConfigReader::member(*config, "fmt");
  if (format != nullptr && format->as_string() != "e4m3") {
    return reader.wrong("quantization_config.fmt", "\"e4m3\"", format, ErrorCode::kUnsupported);
  }
  const json::Value* block = ConfigReader::member(*config, "weight_block_size");
  if (block == nullptr) return {};
  for (const int64_t size : {int64_t{128}, int64_t{32}}) {
    if (block->items().size() == 2 && block->items()[0].as_int() == size && block->items()[1].as_int() == size) {
      d.weight_block_rows = d.weight_block_cols = size;
      return {};
    }
  }
  return reader.wrong("quantization_config.weight_block_size", "[128, 128] or [32, 32]", block,
                      ErrorCode::kUnsupported);
}

// --- rope ------------------------------------------------------------------------------------------------------------

// Layers without compression turn with the main base, the others with their own base and YaRN.
struct Ropes {
  RopeDescription main;
  RopeDescription compressed;
};

Result<void> read_yarn(const ConfigReader& reader, const json::Value& scaling, std::string_view place,
                       RopeDescription& rope) {
  const auto key = [&](std::string_view member) { return fmt::format("{}.{}", place, member); };
  const json::Value* type = ConfigReader::member(scaling, "type");
  if (type == nullptr) type = ConfigReader::member(scaling, "rope_type");
  if (type != nullptr && type->as_string() == "default") return {};
  if (type == nullptr || type->as_string() != "yarn")
    return reader.wrong(key("type"), "\"yarn\"", type, ErrorCode::kUnsupported);
  const auto real = [&](std::string_view member, std::optional<double> absent) {
    return reader.real(ConfigReader::member(scaling, member), key(member), absent);
  };
  HADAL_ASSIGN(rope.factor, real("factor", std::nullopt));
  HADAL_ASSIGN(rope.beta_fast, real("beta_fast", 32));
  HADAL_ASSIGN(rope.beta_slow, real("beta_slow", 1));
  constexpr std::string_view kOriginal = "original_max_position_embeddings";
  HADAL_ASSIGN(rope.original_tokens,
               reader.integer(ConfigReader::member(scaling, kOriginal), key(kOriginal), std::nullopt));
  return {};
}

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
               reader.integer(layers_key, reader.is_args ? std::optional<int64_t>(7) : std::nullopt));
  if (n_layers < 1 || n_layers > kLayersMax) {
    return reader.wrong(layers_key, fmt::format("1 to {}", kLayersMax), reader.member(layers_key));
  }
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

Result<ModelDescription> parse_model_config(const json::Value& config, std::string_view name) {
  if (!config.is_object()) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "config is not an object",
                 .in = std::string(name),
                 .want = "{...}",
                 .found = std::string(json::kind_name(config.kind())),
                 .hint = ""};
  }
  const ConfigReader reader{
      .root = config, .name = name, .is_args = config.find("dim") != nullptr && config.find("hidden_size") == nullptr};
  HADAL_TRY(check_architecture(reader));
  HADAL_TRY(check_assumptions(reader));

  ModelDescription d;
  d.family = kFamily;
  HADAL_TRY(read_fields(reader, d));
  HADAL_ASSIGN(d.score_func, read_score_func(reader));
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
  HADAL_TRY(validate(d, name));
  return d;
}

}  // namespace hadal
