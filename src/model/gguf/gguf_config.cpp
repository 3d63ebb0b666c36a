#include "model/gguf/gguf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>

namespace hadal {
namespace {

enum class Kind { kInt, kReal, kBool };

// One key behind "<arch>." and its name in a config.
struct Key {
  std::string_view gguf;
  std::string_view config;
  Kind kind;
  bool is_required;
};

constexpr Key kCommonKeys[] = {
    {"context_length", "max_position_embeddings", Kind::kInt, true},
    {"embedding_length", "hidden_size", Kind::kInt, true},
    {"attention.head_count", "num_attention_heads", Kind::kInt, true},
    {"attention.q_lora_rank", "q_lora_rank", Kind::kInt, true},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", Kind::kReal, true},
    {"rope.dimension_count", "qk_rope_head_dim", Kind::kInt, true},
    {"rope.freq_base", "rope_theta", Kind::kReal, true},
    {"expert_count", "n_routed_experts", Kind::kInt, true},
    {"expert_used_count", "num_experts_per_tok", Kind::kInt, true},
    {"expert_shared_count", "n_shared_experts", Kind::kInt, true},
    {"expert_feed_forward_length", "moe_intermediate_size", Kind::kInt, true},
    {"expert_weights_scale", "routed_scaling_factor", Kind::kReal, true},
    {"expert_weights_norm", "norm_topk_prob", Kind::kBool, false},
};
constexpr Key kV4Keys[] = {
    {"attention.head_count_kv", "num_key_value_heads", Kind::kInt, false},
    {"attention.key_length", "head_dim", Kind::kInt, true},
    {"attention.output_lora_rank", "o_lora_rank", Kind::kInt, true},
    {"attention.output_group_count", "o_groups", Kind::kInt, true},
    {"attention.sliding_window", "sliding_window", Kind::kInt, true},
    {"attention.compress_rope_freq_base", "compress_rope_theta", Kind::kReal, true},
    {"attention.indexer.head_count", "index_n_heads", Kind::kInt, true},
    {"attention.indexer.key_length", "index_head_dim", Kind::kInt, true},
    {"attention.indexer.top_k", "index_topk", Kind::kInt, true},
    {"hash_layer_count", "num_hash_layers", Kind::kInt, false},
    {"hyper_connection.count", "hc_mult", Kind::kInt, true},
    {"hyper_connection.sinkhorn_iterations", "hc_sinkhorn_iters", Kind::kInt, true},
    {"hyper_connection.epsilon", "hc_eps", Kind::kReal, true},
};
constexpr Key kMlaKeys[] = {
    {"attention.kv_lora_rank", "kv_lora_rank", Kind::kInt, true},
    {"leading_dense_block_count", "first_k_dense_replace", Kind::kInt, true},
    {"feed_forward_length", "intermediate_size", Kind::kInt, true},
    {"expert_group_count", "n_group", Kind::kInt, false},
    {"expert_group_used_count", "topk_group", Kind::kInt, false},
};
constexpr Key kDsaKeys[] = {
    {"attention.indexer.head_count", "index_n_heads", Kind::kInt, true},
    {"attention.indexer.key_length", "index_head_dim", Kind::kInt, true},
    {"attention.indexer.top_k", "index_topk", Kind::kInt, true},
};

struct Architecture {
  std::string_view name;
  std::string_view model_type;
  bool has_indexer_keys;  // of kDsaKeys
  bool is_mla;
};
constexpr Architecture kArchitectures[] = {
    {"deepseek2", "deepseek_v3", false, true},
    {"deepseek32", "deepseek_v32", true, true},
    {"deepseek4", "deepseek_v4", false, false},
};

constexpr std::string_view kScoreFuncs[] = {"", "softmax", "sigmoid", "softmax after top-k", "sqrtsoftplus"};
// conversion/deepseek.py writes 0.1 times mscale_all_dim.
constexpr double kLogMultiplier = 0.1;

// f32 values are decimal numbers of a config: 1e-6 is meant, not 9.99999997e-07.
double decimal(double v) {
  return std::strtod(fmt::format("{}", static_cast<float>(v)).c_str(), nullptr);
}

class Reader {
 public:
  Reader(const GgufFile& file, std::string_view name, const Architecture& architecture)
      : file_(file), name_(name), architecture_(architecture) {}

  const Architecture& architecture() const { return architecture_; }
  json::Value config = json::Value::object();

  const GgufValue* find(std::string_view key) const { return file_.find(full(key)); }

  Error wrong(std::string_view key, std::string want, const GgufValue* found,
              ErrorCode code = ErrorCode::kInvalid) const {
    return Error{.code = found == nullptr ? ErrorCode::kNotFound : code,
                 .what = found == nullptr ? "metadata lack a key" : "metadata say something that Hadal does not take",
                 .in = fmt::format("{}: {}", name_, full(key)),
                 .want = std::move(want),
                 .found = found == nullptr ? "nothing" : found->shown(),
                 .hint = ""};
  }

  Result<int64_t> integer(std::string_view key, std::optional<int64_t> absent) const {
    const GgufValue* value = find(key);
    if (value == nullptr && absent) return *absent;
    const std::optional<int64_t> number = value == nullptr || value->is_array ? std::nullopt : value->as_int();
    if (!number) return wrong(key, "an integer", value);
    return *number;
  }
  Result<double> real(std::string_view key, std::optional<double> absent) const {
    const GgufValue* value = find(key);
    if (value == nullptr && absent) return *absent;
    const std::optional<double> number = value == nullptr || value->is_array ? std::nullopt : value->as_real();
    if (!number) return wrong(key, "a number", value);
    return decimal(*number);
  }

  Result<void> copy(std::span<const Key> keys) {
    for (const Key& key : keys) {
      const GgufValue* value = find(key.gguf);
      if (value == nullptr && !key.is_required) continue;
      HADAL_ASSIGN(json::Value number, value_of(key));
      config.set(key.config, std::move(number));
    }
    return {};
  }

 private:
  std::string full(std::string_view key) const { return fmt::format("{}.{}", architecture_.name, key); }

  Result<json::Value> value_of(const Key& key) const {
    switch (key.kind) {
      case Kind::kInt: {
        HADAL_ASSIGN(const int64_t number, integer(key.gguf, std::nullopt));
        return json::Value::number(number);
      }
      case Kind::kReal: {
        HADAL_ASSIGN(const double number, real(key.gguf, std::nullopt));
        return json::Value::number(number);
      }
      case Kind::kBool:
        break;
    }
    const GgufValue* value = find(key.gguf);
    const std::optional<bool> flag = value == nullptr ? std::nullopt : value->as_bool();
    if (!flag) return wrong(key.gguf, "true or false", value);
    return json::Value::boolean(*flag);
  }

  const GgufFile& file_;
  std::string_view name_;
  const Architecture& architecture_;
};

// block_count counts the draft layers that nextn_predict_layers announces.
Result<int64_t> read_layers(Reader& reader) {
  HADAL_ASSIGN(const int64_t n_blocks, reader.integer("block_count", std::nullopt));
  HADAL_ASSIGN(const int64_t n_drafts, reader.integer("nextn_predict_layers", 0));
  if (n_drafts < 0 || (n_drafts > 0 && n_drafts >= n_blocks)) {
    return reader.wrong("nextn_predict_layers", fmt::format("0 to {} (block_count - 1)", n_blocks - 1),
                        reader.find("nextn_predict_layers"));
  }
  reader.config.set("num_hidden_layers", json::Value::number(n_blocks - n_drafts));
  reader.config.set("num_nextn_predict_layers",
                    json::Value::number(reader.architecture().is_mla ? n_drafts : int64_t{0}));
  return n_blocks - n_drafts;
}

Result<void> read_score(Reader& reader) {
  HADAL_ASSIGN(const int64_t func, reader.integer("expert_gating_func", 1));
  if (func < 1 || func >= static_cast<int64_t>(std::size(kScoreFuncs)))
    return reader.wrong("expert_gating_func", "1 to 4", reader.find("expert_gating_func"), ErrorCode::kUnsupported);
  reader.config.set("scoring_func", json::Value::string(kScoreFuncs[func]));
  return {};
}

Result<void> read_yarn(Reader& reader) {
  const GgufValue* type = reader.find("rope.scaling.type");
  if (type == nullptr || type->as_string() == "none") return {};
  if (type->as_string() != "yarn")
    return reader.wrong("rope.scaling.type", "\"yarn\" or \"none\"", type, ErrorCode::kUnsupported);
  json::Value scaling = json::Value::object();
  scaling.set("type", json::Value::string("yarn"));
  HADAL_ASSIGN(const double factor, reader.real("rope.scaling.factor", std::nullopt));
  HADAL_ASSIGN(const int64_t original, reader.integer("rope.scaling.original_context_length", std::nullopt));
  HADAL_ASSIGN(const double beta_fast, reader.real("rope.scaling.yarn_beta_fast", 32));
  HADAL_ASSIGN(const double beta_slow, reader.real("rope.scaling.yarn_beta_slow", 1));
  HADAL_ASSIGN(const double multiplier, reader.real("rope.scaling.yarn_log_multiplier", 0));
  scaling.set("factor", json::Value::number(factor));
  scaling.set("original_max_position_embeddings", json::Value::number(original));
  scaling.set("beta_fast", json::Value::number(beta_fast));
  scaling.set("beta_slow", json::Value::number(beta_slow));
  if (reader.architecture().is_mla) {
    const double mscale = decimal(multiplier / kLogMultiplier);
    scaling.set("mscale", json::Value::number(mscale));
    scaling.set("mscale_all_dim", json::Value::number(mscale));
  }
  reader.config.set("rope_scaling", std::move(scaling));
  return {};
}

// One ratio per block; draft layers may or may not be among them.
Result<void> read_ratios(Reader& reader, int64_t n_layers) {
  constexpr std::string_view kKey = "attention.compress_ratios";
  const GgufValue* ratios = reader.find(kKey);
  if (ratios == nullptr || ratios->count < static_cast<uint64_t>(std::max<int64_t>(n_layers, 0)))
    return reader.wrong(kKey, fmt::format("{} ratios, one per layer", n_layers), ratios);
  json::Value list = json::Value::array();
  for (int64_t l = 0; l < n_layers; ++l) {
    const std::optional<int64_t> ratio = ratios->as_int(static_cast<uint64_t>(l));
    if (!ratio || (*ratio != 0 && *ratio != 4 && *ratio != 128)) {
      Error error = reader.wrong(kKey, "0, 4 or 128", ratios, ErrorCode::kUnsupported);
      error.found = ratio ? fmt::format("{} for layer {}", *ratio, l) : error.found;
      return error;
    }
    list.push(json::Value::number(*ratio));
  }
  reader.config.set("compress_ratios", std::move(list));
  return {};
}

// The clamps of all layers, routed and shared, are one number in every release.
Result<void> read_clamp(Reader& reader) {
  constexpr std::string_view kKey = "swiglu_clamp_exp";
  const GgufValue* clamps = reader.find(kKey);
  const std::optional<double> clamp = clamps == nullptr ? 0.0 : clamps->as_real();
  if (!clamp) return reader.wrong(kKey, "a number per layer", clamps);
  for (const std::string_view key : {kKey, std::string_view("swiglu_clamp_shexp")}) {
    const GgufValue* others = reader.find(key);
    for (uint64_t l = 0; others != nullptr && l < others->count; ++l) {
      if (others->as_real(l) != clamp)
        return reader.wrong(key, fmt::format("{} for every layer", *clamp), others, ErrorCode::kUnsupported);
    }
  }
  reader.config.set("swiglu_limit", json::Value::number(decimal(*clamp)));
  return {};
}

// Older files have no *_mla keys; their lengths are those of real heads.
Result<void> read_mla_heads(Reader& reader) {
  const bool is_legacy = reader.find("attention.key_length_mla") == nullptr;
  const std::string_view key = is_legacy ? "attention.key_length" : "attention.key_length_mla";
  HADAL_ASSIGN(const int64_t head, reader.integer(key, std::nullopt));
  HADAL_ASSIGN(const int64_t rope, reader.integer("rope.dimension_count", std::nullopt));
  HADAL_ASSIGN(const int64_t value,
               reader.integer(is_legacy ? "attention.value_length" : "attention.value_length_mla", std::nullopt));
  if (rope < 0 || head <= rope) return reader.wrong(key, fmt::format("more than {} (rope)", rope), reader.find(key));
  reader.config.set("qk_nope_head_dim", json::Value::number(head - rope));
  reader.config.set("v_head_dim", json::Value::number(value));
  return {};
}

// Not every writer gives vocab_size: tokens and the embedding say it, too.
Result<void> read_vocabulary(const GgufFile& file, std::span<const StoredTensor> tensors, Reader& reader) {
  const GgufValue* tokens = file.find("tokenizer.ggml.tokens");
  std::optional<int64_t> size;
  if (tokens != nullptr) size = static_cast<int64_t>(tokens->count);
  for (const StoredTensor& tensor : tensors) {
    if (tensor.name == "token_embd.weight" && !tensor.shape.empty()) size = tensor.shape.front();
  }
  HADAL_ASSIGN(const int64_t vocab_size, reader.integer("vocab_size", size));
  reader.config.set("vocab_size", json::Value::number(vocab_size));
  for (const auto& [key, member] : {std::pair("tokenizer.ggml.bos_token_id", "bos_token_id"),
                                    std::pair("tokenizer.ggml.eos_token_id", "eos_token_id")}) {
    const GgufValue* id = file.find(key);
    if (id != nullptr && id->as_int()) reader.config.set(member, json::Value::number(*id->as_int()));
  }
  return {};
}

Result<const Architecture*> architecture_of(const GgufFile& file, std::string_view name) {
  const GgufValue* value = file.find("general.architecture");
  const std::optional<std::string_view> text = value == nullptr ? std::nullopt : value->as_string();
  for (const Architecture& architecture : kArchitectures) {
    if (text == architecture.name) return &architecture;
  }
  return Error{.code = value == nullptr ? ErrorCode::kNotFound : ErrorCode::kUnsupported,
               .what = "unknown architecture",
               .in = fmt::format("{}: general.architecture", name),
               .want = "deepseek2, deepseek32 or deepseek4",
               .found = value == nullptr ? "nothing" : value->shown(),
               .hint = "Hadal runs models of the DeepSeek-V3 and V4 generations"};
}

}  // namespace

Result<json::Value> config_of_gguf(const GgufFile& file, std::span<const StoredTensor> tensors, std::string_view name) {
  HADAL_ASSIGN(const Architecture* architecture, architecture_of(file, name));
  Reader reader(file, name, *architecture);
  reader.config.set("model_type", json::Value::string(architecture->model_type));
  HADAL_ASSIGN(const int64_t n_layers, read_layers(reader));
  HADAL_TRY(reader.copy(kCommonKeys));
  HADAL_TRY(read_score(reader));
  HADAL_TRY(read_yarn(reader));
  HADAL_TRY(read_vocabulary(file, tensors, reader));
  if (architecture->is_mla) {
    HADAL_TRY(reader.copy(kMlaKeys));
    HADAL_TRY(read_mla_heads(reader));
    if (architecture->has_indexer_keys) HADAL_TRY(reader.copy(kDsaKeys));
  } else {
    HADAL_TRY(reader.copy(kV4Keys));
    HADAL_TRY(read_ratios(reader, n_layers));
    HADAL_TRY(read_clamp(reader));
  }
  return std::move(reader.config);
}

Result<ModelDescription> parse_gguf_description(const GgufFile& file, std::span<const StoredTensor> tensors,
                                                std::string_view name) {
  HADAL_ASSIGN(const json::Value config, config_of_gguf(file, tensors, name));
  return parse_model_config(config, fmt::format("{}, metadata as a config", name));
}

// --- writing ---------------------------------------------------------------------------------------------------------

Result<std::string_view> gguf_architecture(const ModelDescription& d) {
  for (const Architecture& architecture : kArchitectures) {
    if (d.family == architecture.model_type) return architecture.name;
  }
  return Error{.code = ErrorCode::kUnsupported,
               .what = "GGUF has no architecture for this model",
               .in = d.family,
               .want = "deepseek_v3, deepseek_v32 or deepseek_v4",
               .found = d.family,
               .hint = "convert it to safetensors: name a folder"};
}

void add_gguf_description(const ModelDescription& d, GgufMetadata& metadata) {
  const std::string_view arch = gguf_architecture(d).value();
  const auto key = [&](std::string_view name) { return fmt::format("{}.{}", arch, name); };
  const auto n = [&](std::string_view name, int64_t value) { metadata.add(key(name), static_cast<uint32_t>(value)); };
  const auto r = [&](std::string_view name, double value) { metadata.add(key(name), static_cast<float>(value)); };
  const bool is_mla = d.has_mla();
  const size_t n_drafts = is_mla ? d.mtp_layers.size() : 0;
  const size_t n_blocks = d.layers.size() + n_drafts;

  metadata.add("general.architecture", arch);
  n("block_count", static_cast<int64_t>(n_blocks));
  if (n_drafts > 0) n("nextn_predict_layers", static_cast<int64_t>(n_drafts));
  n("vocab_size", d.vocab_size);
  n("context_length", d.context_tokens_max);
  n("embedding_length", d.hidden);
  n("attention.head_count", d.n_heads);
  n("attention.head_count_kv", 1);
  n("attention.q_lora_rank", d.q_lora_rank);
  r("attention.layer_norm_rms_epsilon", d.rms_norm_eps);
  n("rope.dimension_count", d.rope_head_dim);
  // V4's layers without entries turn with the main base, the others with their own and YaRN.
  const auto rope_of = [&](bool compressed) {
    const auto layer = std::find_if(d.layers.begin(), d.layers.end(), [&](const LayerDescription& l) {
      return has_compressor(l.attention) == compressed;
    });
    return layer == d.layers.end() ? d.layers.front().rope : layer->rope;
  };
  r("rope.freq_base", rope_of(false).theta);
  n("expert_count", d.n_routed_experts);
  n("expert_used_count", d.n_experts_per_token);
  n("expert_shared_count", d.n_shared_experts);
  n("expert_feed_forward_length", d.moe_inter_dim);
  r("expert_weights_scale", d.route_scale);
  metadata.add(key("expert_weights_norm"), true);
  n("expert_gating_func", d.score_func == ScoreFunc::kSqrtSoftplus ? 4 : d.score_func == ScoreFunc::kSigmoid ? 2 : 1);

  const RopeDescription yarn = rope_of(!is_mla);
  if (yarn.original_tokens > 0) {
    metadata.add(key("rope.scaling.type"), std::string_view("yarn"));
    r("rope.scaling.factor", yarn.factor);
    n("rope.scaling.original_context_length", yarn.original_tokens);
    r("rope.scaling.yarn_beta_fast", yarn.beta_fast);
    r("rope.scaling.yarn_beta_slow", yarn.beta_slow);
    if (is_mla) r("rope.scaling.yarn_log_multiplier", kLogMultiplier * yarn.mscale_all_dim);
  }
  if (d.index_topk > 0) {
    n("attention.indexer.head_count", d.index_n_heads);
    n("attention.indexer.key_length", d.index_head_dim);
    n("attention.indexer.top_k", d.index_topk);
  }
  if (is_mla) {
    n("attention.kv_lora_rank", d.kv_lora_rank);
    n("attention.key_length", d.kv_lora_rank + d.rope_head_dim);
    n("attention.value_length", d.kv_lora_rank);
    n("attention.key_length_mla", d.qk_head_dim());
    n("attention.value_length_mla", d.v_head_dim);
    const auto n_dense = std::count_if(d.layers.begin(), d.layers.end(),
                                       [](const LayerDescription& layer) { return layer.ffn == FfnKind::kDense; });
    n("leading_dense_block_count", n_dense);
    n("feed_forward_length", d.inter_dim);
    n("expert_group_count", d.n_expert_groups);
    n("expert_group_used_count", d.n_limited_groups);
    return;
  }
  n("embedding_length_out", d.hidden * d.hc_mult);
  n("attention.key_length", d.head_dim);
  n("attention.value_length", d.head_dim);
  n("attention.output_lora_rank", d.o_lora_rank);
  n("attention.output_group_count", d.o_groups);
  n("attention.sliding_window", d.window);
  r("attention.compress_rope_freq_base", yarn.theta);
  std::vector<uint32_t> ratios;
  for (const LayerDescription& layer : d.layers) ratios.push_back(static_cast<uint32_t>(layer.compress_ratio));
  metadata.add(key("attention.compress_ratios"), std::span<const uint32_t>(ratios));
  const std::vector<float> clamps(n_blocks, static_cast<float>(d.swiglu_limit));
  metadata.add(key("swiglu_clamp_exp"), std::span<const float>(clamps));
  metadata.add(key("swiglu_clamp_shexp"), std::span<const float>(clamps));
  const auto n_hash = std::count_if(d.layers.begin(), d.layers.end(),
                                    [](const LayerDescription& layer) { return layer.router == RouterKind::kHash; });
  n("hash_layer_count", n_hash);
  n("hyper_connection.count", d.hc_mult);
  n("hyper_connection.sinkhorn_iterations", d.hc_sinkhorn_iters);
  r("hyper_connection.epsilon", d.hc_eps);
}

}  // namespace hadal
