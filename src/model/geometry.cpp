#include "model/geometry.h"

#include <fmt/format.h>

#include <algorithm>

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
  return names;
}

Result<json::Value> geometry_config(std::string_view name, int64_t layers, bool has_draft) {
  const auto found =
      std::find_if(std::begin(kGeometries), std::end(kGeometries), [&](const Geometry& g) { return g.name == name; });
  if (found == std::end(kGeometries)) return unknown(name);
  const Geometry& g = *found;
  if (layers < 0 || layers > g.layers) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "geometry does not have that many layers",
                 .in = "--layers",
                 .want = fmt::format("1 to {}", g.layers),
                 .found = fmt::format("{}", layers),
                 .hint = ""};
  }
  const int64_t n_layers = layers == 0 ? g.layers : layers;
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
