#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/io.h"
#include "formats/checkpoint.h"
#include "formats/model_files.h"
#include "model/model_description.h"
#include "model/weight_set.h"
#include "testing/checkpoint_builder.h"

namespace hadal {
namespace {

using test::must;
using ::testing::HasSubstr;

const fs::path kSource = HADAL_SOURCE_DIR;
constexpr ErrorCode kInvalid = ErrorCode::kInvalid;
constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;

json::Value published(std::string_view folder) {
  const fs::path file = kSource / "tests/data" / folder / "config.json";
  return must(json::parse(must(read_file(file, 1 << 20)), "config.json"));
}
ModelDescription described(const json::Value& config) {
  return must(parse_model_config(config, "config.json"));
}

// configs/config_671B.json of the official inference code has these keys; the values are those of v3-random.
json::Value args() {
  return must(json::parse(R"({"vocab_size": 512, "dim": 64, "inter_dim": 128, "moe_inter_dim": 32, "n_layers": 4,
      "n_dense_layers": 1, "n_heads": 4, "n_routed_experts": 16, "n_shared_experts": 1, "n_activated_experts": 4,
      "n_expert_groups": 4, "n_limited_groups": 2, "route_scale": 2.5, "score_func": "sigmoid", "q_lora_rank": 48,
      "kv_lora_rank": 32, "qk_nope_head_dim": 32, "qk_rope_head_dim": 16, "v_head_dim": 24, "original_seq_len": 128,
      "dtype": "fp8"})",
                          ""));
}

json::Value changed(json::Value config, std::string_view key, std::string_view value) {
  if (value == "-") {
    std::erase_if(config.members(), [&](const json::Member& m) { return m.first == key; });
  } else {
    config.set(key, must(json::parse(value, "value")));
  }
  return config;
}

TEST(DeepseekV3Config, the_published_style_is_read) {
  const ModelDescription d = described(published("v3-random"));
  EXPECT_EQ(d.family, "deepseek_v3");
  EXPECT_EQ(d.residual, ResidualKind::kPlain);
  EXPECT_EQ(d.hc_mult, 1);
  EXPECT_EQ(d.kv_lora_rank, 32);
  EXPECT_EQ(d.qk_head_dim(), 48);
  EXPECT_EQ(d.kv_row_dim(), 48);
  EXPECT_EQ(d.v_head_dim, 24);
  EXPECT_EQ(d.inter_dim, 128);
  EXPECT_EQ(d.n_expert_groups, 4);
  EXPECT_EQ(d.n_limited_groups, 2);
  EXPECT_EQ(d.score_func, ScoreFunc::kSigmoid);
  EXPECT_EQ(d.route_scale, 2.5);
  EXPECT_EQ(d.activation_scale, ActivationScale::kFloat);
  // Sizes of parts that it does not have.
  EXPECT_EQ(d.head_dim, 0);
  EXPECT_EQ(d.window, 0);
  EXPECT_EQ(d.index_topk, 0);
  EXPECT_EQ(d.hc_sinkhorn_iters, 0);

  ASSERT_EQ(d.layers.size(), 4u);
  EXPECT_EQ(d.layers[0].ffn, FfnKind::kDense);
  EXPECT_EQ(d.layers[1].ffn, FfnKind::kMoe);
  EXPECT_EQ(d.layers[3].attention, AttentionKind::kMla);
  EXPECT_EQ(d.layers[3].compress_ratio, 1);
  EXPECT_EQ(d.layers[3].rope.factor, 40);
  EXPECT_EQ(d.layers[3].rope.original_tokens, 128);
  // 0.1 ln 40 + 1: deepseek-v3.md, section 5.
  EXPECT_NEAR(d.layers[3].rope.mscale(), 1.3688879454, 1e-9);
  EXPECT_TRUE(d.mtp_layers.empty());
}

TEST(DeepseekV3Config, both_styles_say_the_same) {
  const ModelDescription a = described(published("v3-random"));
  ModelDescription b = described(args());
  EXPECT_EQ(b.context_tokens_max, 128 * 40) << "YaRN's stretched length";
  b.bos_token_id = a.bos_token_id;
  b.eos_token_id = a.eos_token_id;
  b.context_tokens_max = a.context_tokens_max;
  EXPECT_EQ(json::dump(description_to_json(a)), json::dump(description_to_json(b)));
}

TEST(DeepseekV3Config, the_indexer_makes_it_sparse_in_either_style) {
  const ModelDescription d = described(published("v32-random"));
  EXPECT_EQ(d.family, "deepseek_v32");
  EXPECT_EQ(d.layers[0].attention, AttentionKind::kDsa);
  EXPECT_EQ(d.index_n_heads, 8);
  EXPECT_EQ(d.index_head_dim, 128);
  EXPECT_EQ(d.index_topk, 24);
  const ModelDescription from_args = described(changed(args(), "index_topk", "24"));
  EXPECT_EQ(from_args.layers[0].attention, AttentionKind::kDsa);
  EXPECT_EQ(from_args.index_n_heads, 64);
}

TEST(DeepseekV3Config, a_power_of_two_scale_is_announced_in_either_style) {
  json::Value config = published("v3-random-fp8");
  EXPECT_EQ(described(config).activation_scale, ActivationScale::kFloat);
  EXPECT_EQ(described(config).weight_block_rows, 128);
  config.set("quantization_config", must(json::parse(R"({"quant_method":"fp8","scale_fmt":"ue8m0"})", "")));
  EXPECT_EQ(described(config).activation_scale, ActivationScale::kPowerOfTwo);
  EXPECT_EQ(described(changed(args(), "scale_fmt", "\"ue8m0\"")).activation_scale, ActivationScale::kPowerOfTwo);
}

TEST(DeepseekV3Config, rope_parameters_stand_for_theta_and_scaling) {
  json::Value config = changed(changed(published("v3-random"), "rope_scaling", "-"), "rope_theta", "-");
  config.set("rope_parameters",
             must(json::parse(R"({"rope_type":"yarn","rope_theta":10000.0,"factor":40,"beta_fast":32,"beta_slow":1,
      "mscale":1.0,"mscale_all_dim":1.0,"original_max_position_embeddings":128})",
                              "")));
  EXPECT_EQ(description_identity(described(config)), description_identity(described(published("v3-random"))));
}

TEST(DeepseekV3Config, the_draft_layer_is_the_one_behind_the_trunk) {
  const ModelDescription d = described(changed(published("v3-random"), "num_nextn_predict_layers", "1"));
  ASSERT_EQ(d.mtp_layers.size(), 1u);
  EXPECT_EQ(d.mtp_layers[0].attention, AttentionKind::kMla);
  EXPECT_EQ(d.mtp_layers[0].ffn, FfnKind::kMoe);
  bool has_eh_proj = false;
  for (const ExpectedTensor& tensor : expected_tensors(d)) {
    has_eh_proj = has_eh_proj || tensor.official_name == "layers.4.eh_proj.weight";
  }
  EXPECT_TRUE(has_eh_proj);
}

struct BadChange {
  const char* key;
  const char* value;
  ErrorCode code;
  const char* in;
  const char* want;
  const char* found;
};

constexpr BadChange kBadPublished[] = {
    {"norm_topk_prob", "false", kUnsupported, "norm_topk_prob", "true", "false"},
    {"topk_method", "\"greedy\"", kUnsupported, "topk_method", "noaux_tc", "greedy"},
    {"moe_layer_freq", "2", kUnsupported, "moe_layer_freq", "1", "2"},
    {"attention_bias", "true", kUnsupported, "attention_bias", "false", "true"},
    {"scoring_func", "\"softmax\"", kUnsupported, "scoring_func", "sigmoid", "softmax"},
    {"q_lora_rank", "null", kInvalid, "q_lora_rank", "an integer", "nothing"},
    {"kv_lora_rank", "-", kInvalid, "kv_lora_rank", "an integer", "nothing"},
    {"kv_lora_rank", "0", kInvalid, "kv_lora_rank", "1 to 8192", "0"},
    {"kv_lora_rank", "40", kInvalid, "kv_lora_rank", "a multiple of 16", "40"},
    {"q_lora_rank", "44", kInvalid, "q_lora_rank", "a multiple of 8", "44"},
    {"qk_nope_head_dim", "36", kInvalid, "qk_nope_head_dim", "a multiple of 8", "36"},
    {"hidden_size", "60", kInvalid, "hidden_size", "a multiple of 8", "60"},
    {"qk_rope_head_dim", "8", kInvalid, "qk_rope_head_dim", "a multiple of 16", "8"},
    {"v_head_dim", "-3", kInvalid, "v_head_dim", "1 to 4096", "-3"},
    {"qk_rope_head_dim", "15", kInvalid, "qk_rope_head_dim", "an even number", "15"},
    {"intermediate_size", "0", kInvalid, "intermediate_size", "1 to", "0"},
    {"first_k_dense_replace", "5", kInvalid, "first_k_dense_replace", "0 to the number of layers = 4", "5"},
    {"first_k_dense_replace", "-", kInvalid, "first_k_dense_replace", "an integer", "nothing"},
    {"n_group", "0", kInvalid, "n_group", "1 to", "0"},
    {"n_group", "3", kInvalid, "n_group", "a divisor of n_routed_experts = 16", "3"},
    {"topk_group", "5", kInvalid, "topk_group", "at most n_group = 4", "5"},
    {"num_experts_per_tok", "9", kInvalid, "num_experts_per_tok", "at most the experts of topk_group = 2 groups", "9"},
    {"num_nextn_predict_layers", "2", kUnsupported, "num_nextn_predict_layers", "0 or 1", "2"},
    {"num_hidden_layers", "0", kInvalid, "num_hidden_layers", "1 to 1024", "0"},
    {"rope_scaling", R"({"type":"linear","factor":2})", kUnsupported, "rope_scaling.type", "yarn", "linear"},
    {"rope_scaling", R"({"type":"yarn","factor":2,"original_max_position_embeddings":64,"mscale":1})", kUnsupported,
     "rope_scaling.mscale", "mscale_all_dim = 0", "1"},
    {"rope_scaling",
     R"({"type":"yarn","factor":2,"original_max_position_embeddings":64,"mscale":-1,"mscale_all_dim":-1})", kInvalid,
     "mscale_all_dim", "0 to 100", "-1"},
    {"quantization_config", R"({"quant_method":"fp8","scale_fmt":"f16"})", kUnsupported,
     "quantization_config.scale_fmt", "ue8m0", "f16"},
};

TEST(DeepseekV3Config, each_bad_value_is_refused_with_key_want_and_found) {
  for (const BadChange& bad : kBadPublished) {
    const std::string why = std::string(bad.key) + " = " + bad.value;
    const Result<ModelDescription> d =
        parse_model_config(changed(published("v3-random"), bad.key, bad.value), "config.json");
    ASSERT_FALSE(d.ok()) << why;
    EXPECT_EQ(d.error().code, bad.code) << why << "\n" << d.error().to_string();
    EXPECT_THAT(d.error().in, HasSubstr(bad.in)) << why;
    EXPECT_THAT(d.error().want, HasSubstr(bad.want)) << why;
    EXPECT_THAT(d.error().found, HasSubstr(bad.found)) << why;
  }
}

TEST(DeepseekV3Config, layers_that_cache_different_rows_are_refused) {
  ModelDescription d = described(published("v3-random"));
  d.layers[1].attention = AttentionKind::kWindow;
  d.layers[1].compress_ratio = 0;
  EXPECT_FALSE(validate(d, "x").ok());
  d = described(published("v3-random"));
  d.hc_mult = 4;
  EXPECT_THAT(validate(d, "x").error().in, HasSubstr("hc_mult"));
}

// --- weights ---------------------------------------------------------------------------------------------------------

struct Opened {
  ModelFiles files;
  Checkpoint checkpoint;
};
Opened opened(std::string_view folder) {
  ModelFiles files = must(ModelFiles::open(kSource / "tests/data" / folder));
  Checkpoint checkpoint = must(Checkpoint::open(files));
  return {std::move(files), std::move(checkpoint)};
}

TEST(DeepseekV3Weights, every_tensor_of_the_published_names_finds_its_place) {
  for (const char* folder : {"v3-random", "v3-random-fp8", "v32-random"}) {
    const ModelDescription d = described(published(folder));
    const Opened model = opened(folder);
    const Result<WeightSet> set = WeightSet::bind(d, model.checkpoint);
    ASSERT_TRUE(set.ok()) << set.error().to_string();
    const ModelWeights& weights = set->weights();
    EXPECT_FALSE(set->has_mtp());
    EXPECT_TRUE(weights.head_hc.fn.empty());
    EXPECT_EQ(weights.layers[0].dense.w1.rows, d.inter_dim);
    EXPECT_TRUE(weights.layers[0].experts.empty());
    EXPECT_EQ(weights.layers[1].experts.size(), static_cast<size_t>(d.n_routed_experts));
    EXPECT_EQ(weights.layers[1].gate_bias.size(), static_cast<size_t>(d.n_routed_experts));
    EXPECT_EQ(weights.layers[1].wkv_a.rows, d.kv_row_dim());
    EXPECT_EQ(weights.layers[1].wkv_b.rows, d.n_heads * (d.qk_nope_head_dim + d.v_head_dim));
    EXPECT_EQ(weights.layers[1].wo.cols, d.n_heads * d.v_head_dim);
    EXPECT_EQ(weights.layers[1].indexer.wk.rows, d.index_head_dim);
    EXPECT_EQ(weights.layers[1].indexer.k_norm_bias.size(), static_cast<size_t>(d.index_head_dim));
  }
}

TEST(DeepseekV3Weights, fp8_blocks_keep_their_float_scales_also_where_the_last_one_is_partial) {
  const Opened model = opened("v3-random-fp8");
  const WeightSet set = must(WeightSet::bind(described(published("v3-random-fp8")), model.checkpoint));
  const Weight& wkv_a = set.weights().layers[1].wkv_a;
  EXPECT_EQ(wkv_a.dtype, DType::kF8E4M3);
  EXPECT_EQ(wkv_a.scale_dtype, DType::kF32);
  EXPECT_EQ(wkv_a.rows, 144);
  EXPECT_EQ(wkv_a.scale_rows, 128);
}

TEST(DeepseekV3Weights, a_checkpoint_of_another_family_is_told) {
  const Opened v32 = opened("v32-random");
  ModelDescription d = described(published("v32-random"));
  for (LayerDescription& layer : d.layers) layer.attention = AttentionKind::kMla;
  const Result<WeightSet> set = WeightSet::bind(d, v32.checkpoint);
  ASSERT_FALSE(set.ok());
  EXPECT_THAT(set.error().hint, HasSubstr("DeepSeek-V3.2"));
  const Opened v4 = opened("v4-random-fp8");
  EXPECT_THAT(WeightSet::bind(described(published("v3-random")), v4.checkpoint).error().hint, HasSubstr("DeepSeek-V4"));
}

}  // namespace
}  // namespace hadal
