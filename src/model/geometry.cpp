#include "model/geometry.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace hadal {
namespace {

struct Geometry {
  std::string_view name;
  int64_t vocab_size, hidden_size, layers, heads, head_dim, q_lora_rank, o_groups, o_lora_rank;
  int64_t index_n_heads, index_topk, experts, experts_per_token, moe_inter_dim, hash_layers;
  double route_scale;
  int64_t original_tokens, context_tokens;
  int64_t first_ratios[2];  // of layers 0 and 1; then 4 on even and 128 on odd layers
};

// Source: config.json of the releases (preview checkpoints, one draft layer), and of the model that ships with Hadal.
constexpr Geometry kGeometries[] = {
    // clang-format off
    //name      vocab   hidden layers heads head  q_lora groups o_lora index topk  experts k  inter hash scale  original context  ratios
    {"v4-flash", 129280, 4096, 43,    64,   512,  1024,  8,     1024,  64,   512,  256,    6, 2048, 3,   1.5,   65536,   1048576, {0, 0}},
    {"v4-pro",   129280, 7168, 61,    128,  512,  1536,  16,    1024,  64,   1024, 384,    6, 3072, 3,   2.5,   65536,   1048576, {128, 128}},
    {"v4-tiny",  4480,   256,  8,     6,    128,  128,   2,     128,   8,    64,   24,     6, 128,  2,   1.5,   4096,    65536,   {0, 0}},
    // clang-format on
};

// Keys that are the same in all of them.
constexpr std::string_view kCommon = R"({
  "architectures": ["DeepseekV4ForCausalLM"], "model_type": "deepseek_v4", "attention_bias": false, "bos_token_id": 0,
  "eos_token_id": 1, "hc_eps": 1e-06, "hc_mult": 4, "hc_sinkhorn_iters": 20, "hidden_act": "silu",
  "index_head_dim": 128, "n_shared_experts": 1, "norm_topk_prob": true, "num_key_value_heads": 1,
  "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_theta": 10000, "compress_rope_theta": 160000,
  "scoring_func": "sqrtsoftplus", "sliding_window": 128, "swiglu_limit": 10.0, "tie_word_embeddings": false,
  "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "expert_dtype": "fp4",
  "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "scale_fmt": "ue8m0",
                          "weight_block_size": [128, 128]}
})";

// V3 (R1 and V3.1 have its sizes) and V3.2, which adds the indexer. Source: their config.json.
struct LatentGeometry {
  std::string_view name;
  std::string_view family;  // keys that differ
};
constexpr LatentGeometry kLatentGeometries[] = {
    {"v3", R"({"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
        "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                "weight_block_size": [128, 128]}})"},
    {"v3.2", R"({"architectures": ["DeepseekV32ForCausalLM"], "model_type": "deepseek_v32",
        "index_head_dim": 128, "index_n_heads": 64, "index_topk": 2048,
        "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                "scale_fmt": "ue8m0", "weight_block_size": [128, 128]}})"},
};
constexpr int64_t kLatentLayers = 61;
constexpr int64_t kLatentDenseLayers = 3;
constexpr std::string_view kLatentCommon = R"({
  "attention_bias": false, "bos_token_id": 0, "eos_token_id": 1, "hidden_act": "silu", "hidden_size": 7168,
  "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840, "moe_intermediate_size": 2048,
  "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256, "n_shared_experts": 1, "norm_topk_prob": true,
  "num_attention_heads": 128, "num_experts_per_tok": 8, "num_key_value_heads": 128, "q_lora_rank": 1536,
  "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06,
  "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
                   "original_max_position_embeddings": 4096, "type": "yarn"},
  "rope_theta": 10000, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "tie_word_embeddings": false,
  "topk_group": 4, "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "v_head_dim": 128, "vocab_size": 129280
})";

// V4.1 Flash, text only. Source: its config.json; sizes that follow from the number of layers are filled in.
constexpr std::string_view kV41Name = "v4.1-flash";
constexpr int64_t kV41Layers = 40;
constexpr std::string_view kV41Common = R"({
  "architectures": ["DeepseekV41ForCausalLM"], "model_type": "deepseek_v41", "torch_dtype": "bfloat16",
  "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "scale_fmt": "ue8m0",
                          "weight_block_size": [32, 32], "expert_dtype": "fp4"}
})";
constexpr std::string_view kV41Text = R"({
  "model_type": "deepseek_v41_text", "bos_token_id": 0, "eos_token_id": 1, "vocab_size": 129280, "hidden_size": 5120,
  "num_attention_heads": 64, "num_key_value_heads": 1, "head_dim": 512, "qk_rope_head_dim": 64, "q_lora_rank": 1280,
  "o_lora_rank": 1024, "o_groups": 8, "sliding_window": 128, "candidate_topk_blocks": 2048, "candidate_block_size": 8,
  "index_n_heads": 32, "index_head_dim": 128, "index_topk": 512, "rope_theta": 10000, "compress_rope_theta": 160000,
  "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 65536, "beta_fast": 32,
                   "beta_slow": 1},
  "max_position_embeddings": 1048576, "moe_intermediate_size": 2304, "n_routed_experts": 384, "n_shared_experts": 1,
  "num_experts_per_tok": 6, "scoring_func": "sqrtsoftplus", "topk_method": "noaux_tc", "norm_topk_prob": true,
  "routed_scaling_factor": 1.5, "gate_temp": 1.0, "swiglu_limit": 10.0, "rms_norm_eps": 1e-20, "hc_mult": 4,
  "hc_sinkhorn_iters": 20, "hc_eps": 1e-06, "engram_vocab_size": 16000000, "engram_max_ngram_size": 4,
  "engram_n_heads": 8, "engram_head_dim": 256, "engram_pad_token_id": 2, "engram_compressed_vocab_size": 99092,
  "num_nextn_predict_layers": 0, "hidden_act": "silu", "tie_word_embeddings": false
})";
constexpr int64_t kV41KvSources[] = {2, 8, 14, 20};
constexpr int64_t kV41IndexSources[] = {2, 8, 14, 20, 24, 28, 32, 36};
constexpr int64_t kV41CandidateSource = 20;
constexpr int64_t kV41EngramLayers[] = {1, 14};
constexpr int64_t kV41EngramRows[] = {384006168, 384016682};

// The system that the texts before V4's release describe: MLA, DSA, mHC of 4 streams, Engram and 256 experts at 1M
// tokens, about 1T parameters. They fix only that; the sizes are ours (docs/hadal-family.md). Sizes that follow from
// the number of layers are filled in.
constexpr std::string_view kSeedName = "seed";
constexpr int64_t kSeedLayers = 64;
constexpr std::string_view kSeedCommon = R"({
  "architectures": ["HadalForCausalLM"], "model_type": "hadal", "hadal_version": 1, "torch_dtype": "bfloat16",
  "bos_token_id": 0, "eos_token_id": 1, "vocab_size": 129280, "hidden_size": 6144, "rms_norm_eps": 1e-06,
  "max_position_embeddings": 1048576, "tie_word_embeddings": false, "hidden_act": "silu",
  "attention": "mla_dsa", "num_attention_heads": 48, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
  "qk_rope_head_dim": 64, "v_head_dim": 128, "index_n_heads": 32, "index_head_dim": 128, "index_topk": 2048,
  "rope_theta": 10000,
  "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 65536, "beta_fast": 32,
                   "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0},
  "intermediate_size": 18432, "moe_intermediate_size": 2944, "n_routed_experts": 256, "n_shared_experts": 1,
  "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4, "scoring_func": "sigmoid", "norm_topk_prob": true,
  "routed_scaling_factor": 2.5, "residual": "mhc", "hc_schedule": "next", "hc_mult": 4, "hc_sinkhorn_iters": 20,
  "hc_eps": 1e-06, "engram_form": "v41", "engram_vocab_size": 8000000, "engram_max_ngram_size": 4, "engram_n_heads": 8,
  "engram_head_dim": 256, "engram_pad_token_id": 2, "engram_compressed_vocab_size": 99092, "engram_seed": 0,
  "num_nextn_predict_layers": 0,
  "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "scale_fmt": "ue8m0",
                          "weight_block_size": [32, 32], "expert_dtype": "fp4", "engram_dtype": "fp8"}
})";
constexpr int64_t kSeedEngramLayers[] = {1, 15};
constexpr int64_t kSeedEngramRows[] = {192003420, 192012468};

const LatentGeometry* find_latent(std::string_view name) {
  const auto found = std::find_if(std::begin(kLatentGeometries), std::end(kLatentGeometries),
                                  [&](const LatentGeometry& g) { return g.name == name; });
  return found == std::end(kLatentGeometries) ? nullptr : found;
}

// 0 stands for all.
Result<int64_t> layers_of(int64_t wanted, int64_t all) {
  if (wanted >= 0 && wanted <= all) return wanted == 0 ? all : wanted;
  return Error{.code = ErrorCode::kInvalid,
               .what = "geometry does not have that many layers",
               .in = "--layers",
               .want = fmt::format("1 to {}", all),
               .found = fmt::format("{}", wanted),
               .hint = ""};
}

Result<json::Value> latent_config(const LatentGeometry& g, int64_t layers, bool has_draft) {
  HADAL_ASSIGN(const int64_t n_layers, layers_of(layers, kLatentLayers));
  HADAL_ASSIGN(json::Value config, json::parse(kLatentCommon, "geometry"));
  HADAL_ASSIGN(const json::Value family, json::parse(g.family, "geometry"));
  for (const auto& [key, value] : family.members()) config.set(key, value);
  config.set("num_hidden_layers", json::Value::number(n_layers));
  config.set("first_k_dense_replace", json::Value::number(std::min(kLatentDenseLayers, n_layers)));
  config.set("num_nextn_predict_layers", json::Value::number(int64_t{has_draft ? 1 : 0}));
  return config;
}

// Those of the numbers that are layers of a model cut to n_layers, or what `of` has beside them.
json::Value layers_below(std::span<const int64_t> layers, int64_t n_layers, std::span<const int64_t> of) {
  json::Value list = json::Value::array();
  for (size_t i = 0; i < layers.size() && layers[i] < n_layers; ++i) list.push(json::Value::number(of[i]));
  return list;
}

Result<json::Value> v41_config(int64_t layers) {
  HADAL_ASSIGN(const int64_t n_layers, layers_of(layers, kV41Layers));
  HADAL_ASSIGN(json::Value config, json::parse(kV41Common, "geometry"));
  HADAL_ASSIGN(json::Value text, json::parse(kV41Text, "geometry"));
  text.set("num_hidden_layers", json::Value::number(n_layers));
  json::Value ratios = json::Value::array();
  for (int64_t l = 0; l < n_layers; ++l) ratios.push(json::Value::number(int64_t{l < 2 ? 0 : l < 20 ? 2 : 1}));
  text.set("compress_ratios", std::move(ratios));
  text.set("kv_source_layer_ids", layers_below(kV41KvSources, n_layers, kV41KvSources));
  text.set("index_source_layer_ids", layers_below(kV41IndexSources, n_layers, kV41IndexSources));
  text.set("candidate_source_layer_id",
           json::Value::number(kV41CandidateSource < n_layers ? kV41CandidateSource : int64_t{-1}));
  text.set("engram_layer_ids", layers_below(kV41EngramLayers, n_layers, kV41EngramLayers));
  text.set("engram_num_embeddings", layers_below(kV41EngramLayers, n_layers, kV41EngramRows));
  config.set("text_config", std::move(text));
  return config;
}

Result<json::Value> seed_config(int64_t layers) {
  HADAL_ASSIGN(const int64_t n_layers, layers_of(layers, kSeedLayers));
  HADAL_ASSIGN(json::Value config, json::parse(kSeedCommon, "geometry"));
  config.set("num_hidden_layers", json::Value::number(n_layers));
  config.set("first_k_dense_replace", json::Value::number(int64_t{1}));
  config.set("engram_layer_ids", layers_below(kSeedEngramLayers, n_layers, kSeedEngramLayers));
  config.set("engram_num_embeddings", layers_below(kSeedEngramLayers, n_layers, kSeedEngramRows));
  return config;
}

int64_t ratio_of_layer(const Geometry& g, int64_t layer) {
  if (layer < 2) return g.first_ratios[layer];
  return layer % 2 == 0 ? 4 : 128;
}

Error unknown(std::string_view name) {
  return Error{.code = ErrorCode::kInvalid,
               .what = "unknown geometry",
               .in = "--like",
               .want = fmt::format("{}", fmt::join(geometry_names(), ", ")),
               .found = std::string(name),
               .hint = ""};
}

}  // namespace

std::vector<std::string_view> geometry_names() {
  std::vector<std::string_view> names;
  for (const Geometry& g : kGeometries) names.push_back(g.name);
  for (const LatentGeometry& g : kLatentGeometries) names.push_back(g.name);
  names.push_back(kV41Name);
  names.push_back(kSeedName);
  return names;
}

PublishedFormat geometry_format(std::string_view name) {
  if (name == kV41Name || name == kSeedName)
    return {.has_fp4_experts = true, .fp8_scale = DType::kF8E8M0, .fp8_tile = 32};
  if (find_latent(name) == nullptr) return {};
  return {.has_fp4_experts = false, .fp8_scale = DType::kF32};
}

Result<json::Value> geometry_config(std::string_view name, int64_t layers, bool has_draft) {
  if (const LatentGeometry* latent = find_latent(name)) return latent_config(*latent, layers, has_draft);
  if (name == kV41Name) return v41_config(layers);
  if (name == kSeedName) return seed_config(layers);
  const auto found =
      std::find_if(std::begin(kGeometries), std::end(kGeometries), [&](const Geometry& g) { return g.name == name; });
  if (found == std::end(kGeometries)) return unknown(name);
  const Geometry& g = *found;
  HADAL_ASSIGN(const int64_t n_layers, layers_of(layers, g.layers));
  HADAL_ASSIGN(json::Value config, json::parse(kCommon, "geometry"));
  const std::pair<std::string_view, int64_t> sizes[] = {
      {"vocab_size", g.vocab_size},
      {"hidden_size", g.hidden_size},
      {"num_hidden_layers", n_layers},
      {"num_nextn_predict_layers", has_draft ? 1 : 0},
      {"num_attention_heads", g.heads},
      {"head_dim", g.head_dim},
      {"q_lora_rank", g.q_lora_rank},
      {"o_groups", g.o_groups},
      {"o_lora_rank", g.o_lora_rank},
      {"index_n_heads", g.index_n_heads},
      {"index_topk", g.index_topk},
      {"n_routed_experts", g.experts},
      {"num_experts_per_tok", g.experts_per_token},
      {"moe_intermediate_size", g.moe_inter_dim},
      {"num_hash_layers", std::min(g.hash_layers, n_layers)},
      {"max_position_embeddings", g.context_tokens},
  };
  for (const auto& [key, value] : sizes) config.set(key, json::Value::number(value));
  config.set("routed_scaling_factor", json::Value::number(g.route_scale));
  json::Value scaling = json::Value::object();
  scaling.set("type", json::Value::string("yarn"));
  scaling.set("factor", json::Value::number(int64_t{16}));
  scaling.set("original_max_position_embeddings", json::Value::number(g.original_tokens));
  scaling.set("beta_fast", json::Value::number(int64_t{32}));
  scaling.set("beta_slow", json::Value::number(int64_t{1}));
  config.set("rope_scaling", std::move(scaling));
  json::Value ratios = json::Value::array();
  for (int64_t l = 0; l < n_layers; ++l) ratios.push(json::Value::number(ratio_of_layer(g, l)));
  if (has_draft) ratios.push(json::Value::number(int64_t{0}));
  config.set("compress_ratios", std::move(ratios));
  return config;
}

}  // namespace hadal
