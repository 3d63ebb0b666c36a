#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/io.h"
#include "model/model_description.h"
#include "testing/checkpoint_builder.h"

namespace hadal {
namespace {

using test::must;
using ::testing::HasSubstr;

const fs::path kSource = HADAL_SOURCE_DIR;

json::Value read(const fs::path& file) {
  return must(json::parse(must(read_file(kSource / file, 1 << 20)), file.string()));
}
ModelDescription described(const json::Value& config) {
  return must(parse_model_config(config, "config.json"));
}

json::Value published() {
  return read("tests/data/v4-random/config.json");
}
json::Value args() {
  return read("tests/data/v4-random/inference/config.json");
}

TEST(DeepseekV4Config, the_published_style_is_read) {
  const ModelDescription d = described(published());
  EXPECT_EQ(d.family, "deepseek_v4");
  EXPECT_EQ(d.vocab_size, 512);
  EXPECT_EQ(d.hidden, 64);
  EXPECT_EQ(d.context_tokens_max, 4096);
  EXPECT_EQ(d.bos_token_id, 0);
  EXPECT_EQ(d.eos_token_id, 1);
  EXPECT_EQ(d.head_dim, 80);
  EXPECT_EQ(d.n_experts_per_token, 2);
  EXPECT_EQ(d.score_func, ScoreFunc::kSqrtSoftplus);
  EXPECT_EQ(d.route_scale, 1.5);
  EXPECT_EQ(d.hc_sinkhorn_iters, 20);

  ASSERT_EQ(d.layers.size(), 6u);
  EXPECT_EQ(d.layers[0].attention, AttentionKind::kWindow);
  EXPECT_EQ(d.layers[0].router, RouterKind::kHash);
  EXPECT_EQ(d.layers[0].rope.theta, 10000);
  EXPECT_EQ(d.layers[0].rope.original_tokens, 0);
  EXPECT_EQ(d.layers[1].attention, AttentionKind::kCsa);
  EXPECT_EQ(d.layers[1].compress_ratio, 4);
  EXPECT_EQ(d.layers[1].compress_coff(), 2);
  EXPECT_EQ(d.layers[1].router, RouterKind::kHash);
  EXPECT_EQ(d.layers[2].attention, AttentionKind::kHca);
  EXPECT_EQ(d.layers[2].compress_ratio, 128);
  EXPECT_EQ(d.layers[2].compress_coff(), 1);
  EXPECT_EQ(d.layers[2].router, RouterKind::kScore);
  EXPECT_EQ(d.layers[2].rope.theta, 160000);
  EXPECT_EQ(d.layers[2].rope.factor, 16);
  EXPECT_EQ(d.layers[2].rope.original_tokens, 64);
  EXPECT_EQ(d.layers[2].rope.beta_fast, 32);
  EXPECT_EQ(d.layers[2].rope.beta_slow, 1);

  ASSERT_EQ(d.mtp_layers.size(), 1u);
  EXPECT_EQ(d.mtp_layers[0].attention, AttentionKind::kWindow);
  EXPECT_EQ(d.mtp_layers[0].router, RouterKind::kScore);
  EXPECT_EQ(d.mtp_layers[0].rope.theta, 10000);
}

TEST(DeepseekV4Config, both_styles_say_the_same) {
  for (const char* folder : {"tests/data/v4-random", "tests/data/v4-random-fp8", "models/v4-tiny"}) {
    const ModelDescription a = described(read(fs::path(folder) / "config.json"));
    ModelDescription b = described(read(fs::path(folder) / "inference/config.json"));
    // ModelArgs know neither token ids nor the model's own limit.
    EXPECT_EQ(b.bos_token_id, -1);
    b.bos_token_id = a.bos_token_id;
    b.eos_token_id = a.eos_token_id;
    b.context_tokens_max = a.context_tokens_max;
    EXPECT_EQ(json::dump(description_to_json(a)), json::dump(description_to_json(b))) << folder;
    EXPECT_EQ(description_identity(a), description_identity(b));
  }
}

TEST(DeepseekV4Config, model_args_take_their_published_defaults) {
  json::Value config = json::Value::object();
  config.set("dim", json::Value::number(int64_t{4096}));
  config.set("compress_ratios", must(json::parse("[0,0,4,128,4,128,4,0]", "")));
  const ModelDescription d = described(config);
  EXPECT_EQ(d.vocab_size, 129280);
  EXPECT_EQ(d.layers.size(), 7u);
  EXPECT_EQ(d.mtp_layers.size(), 1u);
  EXPECT_EQ(d.layers[2].rope.theta, 40000);
  EXPECT_EQ(d.layers[2].rope.original_tokens, 0);
  EXPECT_EQ(d.context_tokens_max, 4096);
  EXPECT_EQ(d.rms_norm_eps, 1e-6);
}

TEST(DeepseekV4Config, model_args_context_is_yarns_stretched_length) {
  EXPECT_EQ(described(read("models/v4-tiny/inference/config.json")).context_tokens_max, 65536);
}

TEST(DeepseekV4Config, the_identity_changes_with_what_the_model_computes_and_not_with_its_storage) {
  const std::string identity = description_identity(described(published()));
  EXPECT_EQ(identity.size(), 64u);
  json::Value other = published();
  other.set("rope_theta", json::Value::number(int64_t{20000}));
  EXPECT_NE(description_identity(described(other)), identity);
  json::Value tiled = published();
  tiled.set("quantization_config", must(json::parse(R"({"quant_method":"fp8","weight_block_size":[32,32]})", "")));
  EXPECT_EQ(described(tiled).weight_block_rows, 32);
  EXPECT_EQ(description_identity(described(tiled)), identity);
}

// A config, one key of it replaced (or removed by "-"), and what comes of it.
json::Value changed(json::Value config, std::string_view key, std::string_view value) {
  if (value == "-") {
    std::erase_if(config.members(), [&](const json::Member& m) { return m.first == key; });
  } else {
    config.set(key, must(json::parse(value, "value")));
  }
  return config;
}

struct GoodChange {
  const char* key;
  const char* value;
};

TEST(DeepseekV4Config, unknown_keys_and_optional_ones_do_not_matter) {
  const std::string want = description_identity(described(published()));
  constexpr GoodChange kChanges[] = {
      {"something_else", "[1,2,3]"},
      {"num_nextn_predict_layers", "-"},
      {"hc_eps", "-"},
      {"hc_mult", "-"},
      {"n_shared_experts", "-"},
      {"norm_topk_prob", "-"},
      {"architectures", "-"},
      {"torch_dtype", "null"},
      {"quantization_config", "null"},
      {"eos_token_id", "[1,0]"},
      {"rms_norm_eps", "-"},
      {"hidden_size", "64.0"},
      {"scoring_func", "-"},
      {"compress_ratios", "[0,4,128,4,128,4]"},
  };
  for (const GoodChange& change : kChanges) {
    const json::Value config = changed(published(), change.key, change.value);
    const Result<ModelDescription> d = parse_model_config(config, "config.json");
    ASSERT_TRUE(d.ok()) << change.key << "\n" << d.error().to_string();
    EXPECT_EQ(description_identity(*d), want) << change.key;
  }
}

TEST(DeepseekV4Config, layer_types_stand_in_for_missing_ratios) {
  json::Value config = changed(published(), "compress_ratios", "-");
  config.set("layer_types", must(json::parse(R"(["sliding_attention","compressed_sparse_attention",
      "heavily_compressed_attention","compressed_sparse_attention","heavily_compressed_attention",
      "compressed_sparse_attention"])",
                                             "")));
  config.set("compress_rates",
             must(json::parse(R"({"compressed_sparse_attention":4,"heavily_compressed_attention":128})", "")));
  config = changed(config, "num_hash_layers", "-");
  config.set("mlp_layer_types", must(json::parse(R"(["hash_moe","hash_moe","moe","moe","moe","moe"])", "")));
  config = changed(config, "qk_rope_head_dim", "-");
  config.set("partial_rotary_factor", must(json::parse("0.2", "")));
  config = changed(config, "rope_scaling", "-");
  config.set("rope_parameters", must(json::parse(R"({"main":{"rope_type":"default","rope_theta":10000.0},
      "compress":{"rope_type":"yarn","rope_theta":160000.0,"factor":16.0,"beta_fast":32,"beta_slow":1,
      "original_max_position_embeddings":64}})",
                                                 "")));
  EXPECT_EQ(description_identity(described(config)), description_identity(described(published())));
}

TEST(DeepseekV4Config, dsparks_stages_are_left_out_whatever_their_count_says) {
  json::Value config = changed(published(), "compress_ratios", "[0,4,128,4,128,4,0,0,0]");
  config.set("dspark_block_size", json::Value::number(int64_t{5}));
  const ModelDescription d = described(config);
  EXPECT_EQ(d.layers.size(), 6u);
  EXPECT_TRUE(d.mtp_layers.empty());
}

TEST(DeepseekV4Config, any_other_ratio_compresses_heavily) {
  const ModelDescription d = described(changed(published(), "compress_ratios", "[0,4,128,2,64,1,0]"));
  for (const size_t l : {3u, 4u, 5u}) {
    EXPECT_EQ(d.layers[l].attention, AttentionKind::kHca);
    EXPECT_FALSE(d.layers[l].compress_overlap);
  }
}

struct BadChange {
  const char* key;
  const char* value;
  ErrorCode code;
  const char* in;  // the key in the message
  const char* want;
  const char* found;
};

constexpr ErrorCode kInvalid = ErrorCode::kInvalid;
constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;

constexpr BadChange kBadPublished[] = {
    // Another model.
    {"model_type", "\"llama\"", kUnsupported, "model_type", "deepseek_v4", "\"llama\""},
    {"model_type", "\"deepseek_v2\"", kUnsupported, "model_type", "deepseek_v4", "\"deepseek_v2\""},
    {"model_type", "7", kUnsupported, "model_type", "deepseek_v4", "7"},
    {"attention_bias", "true", kUnsupported, "attention_bias", "false", "true"},
    {"hidden_act", "\"gelu\"", kUnsupported, "hidden_act", "\"silu\"", "\"gelu\""},
    {"tie_word_embeddings", "true", kUnsupported, "tie_word_embeddings", "false", "true"},
    {"num_key_value_heads", "4", kUnsupported, "num_key_value_heads", "1", "4"},
    {"norm_topk_prob", "false", kUnsupported, "norm_topk_prob", "true", "false"},
    {"scoring_func", "\"relu\"", kUnsupported, "scoring_func", "sqrtsoftplus", "\"relu\""},
    {"scoring_func", "1", kUnsupported, "scoring_func", "sqrtsoftplus", "1"},
    {"quantization_config", R"({"quant_method":"awq"})", kUnsupported, "quantization_config.quant_method", "fp8",
     "awq"},
    {"quantization_config", "[]", kUnsupported, "quantization_config.quant_method", "fp8", "nothing"},
    {"quantization_config", R"({"quant_method":"fp8","fmt":"e5m2"})", kUnsupported, "quantization_config.fmt", "e4m3",
     "e5m2"},
    {"quantization_config", R"({"quant_method":"fp8","weight_block_size":[64,64]})", kUnsupported,
     "quantization_config.weight_block_size", "[128, 128]", "[64,64]"},
    {"quantization_config", R"({"quant_method":"fp8","weight_block_size":128})", kUnsupported,
     "quantization_config.weight_block_size", "[128, 128]", "128"},
    // Values of the wrong kind or missing.
    {"hidden_size", "-", kInvalid, "hidden_size", "an integer", "nothing"},
    {"vocab_size", "-", kInvalid, "vocab_size", "an integer", "nothing"},
    {"vocab_size", "\"512\"", kInvalid, "vocab_size", "an integer", "\"512\""},
    {"vocab_size", "null", kInvalid, "vocab_size", "an integer", "nothing"},
    {"hidden_size", "64.5", kInvalid, "hidden_size", "an integer", "64.5"},
    {"hidden_size", "1e300", kInvalid, "hidden_size", "an integer", "1e300"},
    {"hidden_size", "99999999999999999999", kInvalid, "hidden_size", "an integer", "99999999999999999999"},
    {"rope_theta", "\"NaN\"", kInvalid, "rope_theta", "a number", "\"NaN\""},
    {"rope_theta", "-", kInvalid, "rope_theta", "a number", "nothing"},
    {"compress_rope_theta", "-", kInvalid, "compress_rope_theta", "a number", "nothing"},
    {"eos_token_id", "{}", kInvalid, "eos_token_id", "an integer", "{}"},
    // Out of range.
    {"vocab_size", "0", kInvalid, "vocab_size", "1 to", "0"},
    {"vocab_size", "-512", kInvalid, "vocab_size", "1 to", "-512"},
    {"vocab_size", "1073741824", kInvalid, "vocab_size", "1 to 16777216", "1073741824"},
    {"hidden_size", "9223372036854775807", kInvalid, "hidden_size", "1 to 65536", "9223372036854775807"},
    {"num_hidden_layers", "0", kInvalid, "num_hidden_layers", "1 to 1024", "0"},
    {"num_hidden_layers", "1000000000", kInvalid, "num_hidden_layers", "1 to 1024", "1000000000"},
    {"sliding_window", "0", kInvalid, "sliding_window", "1 to", "0"},
    {"hc_mult", "0", kInvalid, "hc_mult", "1 to 16", "0"},
    {"hc_mult", "17", kInvalid, "hc_mult", "1 to 16", "17"},
    {"hc_sinkhorn_iters", "0", kInvalid, "hc_sinkhorn_iters", "1 to", "0"},
    {"hc_eps", "-1e-6", kInvalid, "hc_eps", "0 to", "-1e-06"},
    {"rms_norm_eps", "0", kInvalid, "rms_norm_eps", "to 1", "0"},
    {"swiglu_limit", "-1", kInvalid, "swiglu_limit", "0 to", "-1"},
    {"routed_scaling_factor", "0", kInvalid, "routed_scaling_factor", "to", "0"},
    {"n_shared_experts", "2", kInvalid, "n_shared_experts", "1 to 1", "2"},
    {"index_topk", "0", kInvalid, "index_topk", "1 to", "0"},
    {"o_groups", "0", kInvalid, "o_groups", "1 to", "0"},
    {"max_position_embeddings", "0", kInvalid, "max_position_embeddings", "1 to 16777216", "0"},
    {"bos_token_id", "512", kInvalid, "bos_token_id", "at most vocab_size - 1 = 511", "512"},
    {"bos_token_id", "-2", kInvalid, "bos_token_id", "-1 (none) or more", "-2"},
    {"eos_token_id", "[99999999999]", kInvalid, "eos_token_id", "at most 2147483647", "99999999999"},
    {"rope_theta", "0", kInvalid, "rope theta", "1 to", "0"},
    {"compress_rope_theta", "-1", kInvalid, "rope theta", "1 to", "-1"},
    {"rope_scaling", R"({"type":"linear","factor":2})", kUnsupported, "rope_scaling.type", "yarn", "linear"},
    {"rope_scaling", R"({"type":"yarn","factor":0.5,"original_max_position_embeddings":64})", kInvalid, "rope factor",
     "1 to", "0.5"},
    {"rope_scaling", R"({"type":"yarn","factor":2})", kInvalid, "rope_scaling.original_max_position_embeddings",
     "an integer", "nothing"},
    {"rope_scaling", R"({"type":"yarn","factor":2,"original_max_position_embeddings":64,"beta_fast":1,"beta_slow":32})",
     kInvalid, "rope beta_fast", "32 to", "1"},
    {"rope_scaling", "3", kUnsupported, "rope_scaling.type", "yarn", "nothing"},
    // Contradictions.
    {"num_experts_per_tok", "9", kInvalid, "num_experts_per_tok", "at most n_routed_experts = 8", "9"},
    {"num_attention_heads", "5", kInvalid, "num_attention_heads", "a multiple of o_groups = 2", "5"},
    {"qk_rope_head_dim", "15", kInvalid, "qk_rope_head_dim", "an even number", "15"},
    {"qk_rope_head_dim", "82", kInvalid, "qk_rope_head_dim", "at most head_dim = 80", "82"},
    {"qk_rope_head_dim", "34", kInvalid, "qk_rope_head_dim", "at most index_head_dim = 32", "34"},
    {"head_dim", "88", kInvalid, "head_dim", "a multiple of 16", "88"},
    {"index_head_dim", "48", kInvalid, "index_head_dim", "a power of two", "48"},
    {"num_hash_layers", "7", kInvalid, "num_hash_layers", "0 to the number of layers = 6", "7"},
    {"num_hash_layers", "-1", kInvalid, "num_hash_layers", "0 to the number of layers = 6", "-1"},
    {"num_nextn_predict_layers", "0", kInvalid, "compress_ratios", "6 entries", "7 entries"},
    {"num_nextn_predict_layers", "2", kUnsupported, "num_nextn_predict_layers", "0 or 1", "2"},
    {"num_nextn_predict_layers", "-1", kInvalid, "num_nextn_predict_layers", "0 or 1", "-1"},
    {"num_hidden_layers", "8", kInvalid, "compress_ratios", "9 entries", "7 entries"},
    {"compress_ratios", "[0,4,128,4,128]", kInvalid, "compress_ratios", "7 entries", "5 entries"},
    {"compress_ratios", "[0,4,128,4,128,4,0,0]", kInvalid, "compress_ratios", "7 entries", "8 entries"},
    {"compress_ratios", "[0,4,128,4,128,4,4]", kInvalid, "compress_ratios", "0 for draft layers", "4]"},
    {"compress_ratios", "[0,-4,128,4,128,4,0]", kInvalid, "compress_ratios[1]", "0 to 4096", "-4"},
    {"compress_ratios", "[0,4,1e9,4,128,4,0]", kInvalid, "compress_ratios[2]", "0 to 4096", "1e9"},
    {"compress_ratios", "4", kInvalid, "compress_ratios", "a list", "4"},
    {"compress_ratios", "-", kInvalid, "compress_ratios", "a list", "nothing"},
    {"n_routed_experts", "4097", kInvalid, "n_routed_experts", "1 to 4096", "4097"},
    {"n_routed_experts", "4096", kInvalid, "n_routed_experts", "at most 262144 in all 71 layers", "4096"},
};

TEST(DeepseekV4Config, each_bad_value_is_refused_with_key_want_and_found) {
  for (const BadChange& bad : kBadPublished) {
    const std::string why = std::string(bad.key) + " = " + bad.value;
    json::Value config = changed(published(), bad.key, bad.value);
    if (std::string_view(bad.key) == "n_routed_experts") {
      json::Value ratios = json::Value::array();
      for (int l = 0; l < 70; ++l) ratios.push(json::Value::number(int64_t{0}));
      config.set("num_hidden_layers", json::Value::number(int64_t{70}));
      config.set("compress_ratios", std::move(ratios));
    }
    const Result<ModelDescription> d = parse_model_config(config, "config.json");
    ASSERT_FALSE(d.ok()) << why;
    EXPECT_EQ(d.error().code, bad.code) << why << "\n" << d.error().to_string();
    EXPECT_THAT(d.error().in, HasSubstr("config.json")) << why;
    EXPECT_THAT(d.error().in, HasSubstr(bad.in)) << why;
    EXPECT_THAT(d.error().want, HasSubstr(bad.want)) << why;
    EXPECT_THAT(d.error().found, HasSubstr(bad.found)) << why;
  }
}

constexpr BadChange kBadArgs[] = {
    {"kv_lora_rank", "512", kInvalid, "qk_nope_head_dim", "an integer", "nothing"},                      // that of V3
    {"engram_layer_ids", "[1]", kInvalid, "kv_source_layers", "a source at or before layer 1", "none"},  // of V4.1
    {"n_activated_experts", "9", kInvalid, "num_experts_per_tok", "at most n_routed_experts = 8", "9"},
    {"window_size", "-1", kInvalid, "window_size", "1 to", "-1"},
    {"n_mtp_layers", "3", kUnsupported, "n_mtp_layers", "0 or 1", "3"},
    {"compress_ratios", "-", kInvalid, "compress_ratios", "a list", "nothing"},
    {"dim", "\"x\"", kInvalid, "dim", "an integer", "\"x\""},
};

TEST(DeepseekV4Config, bad_model_args_are_refused_under_their_own_keys) {
  for (const BadChange& bad : kBadArgs) {
    const Result<ModelDescription> d = parse_model_config(changed(args(), bad.key, bad.value), "inference/config.json");
    ASSERT_FALSE(d.ok()) << bad.key;
    EXPECT_EQ(d.error().code, bad.code) << d.error().to_string();
    EXPECT_THAT(d.error().in, HasSubstr(bad.in));
    EXPECT_THAT(d.error().want, HasSubstr(bad.want));
    EXPECT_THAT(d.error().found, HasSubstr(bad.found));
  }
}

TEST(DeepseekV4Config, what_is_no_config_is_refused) {
  for (const char* text :
       {"[]", "1", "null", "{}", R"({"architectures":["GPT2LMHeadModel"]})", R"({"architectures":7})"}) {
    EXPECT_FALSE(parse_model_config(must(json::parse(text, "")), "config.json").ok()) << text;
  }
  const Result<ModelDescription> gpt =
      parse_model_config(must(json::parse(R"({"architectures":["GPT2LMHeadModel"]})", "")), "config.json");
  EXPECT_EQ(gpt.error().code, kUnsupported);
  EXPECT_THAT(gpt.error().found, HasSubstr("GPT2LMHeadModel"));
}

TEST(ModelDescription, numbers_that_are_none_are_refused) {
  for (const double v : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    ModelDescription d = described(published());
    d.hc_eps = v;
    EXPECT_EQ(validate(d, "x").error().code, kInvalid);
    d = described(published());
    d.layers[3].rope.theta = v;
    EXPECT_THAT(validate(d, "x").error().in, HasSubstr("layer 3"));
  }
}

TEST(ModelDescription, layers_that_contradict_themselves_are_refused) {
  ModelDescription d = described(published());
  d.layers[0].compress_ratio = 4;
  EXPECT_EQ(validate(d, "x").error().code, kInvalid);
  d = described(published());
  d.layers[1].compress_ratio = 0;
  EXPECT_EQ(validate(d, "x").error().code, kInvalid);
  d = described(published());
  d.mtp_layers[0].router = RouterKind::kHash;
  EXPECT_EQ(validate(d, "x").error().code, kInvalid);
  d.mtp_layers.resize(2);
  EXPECT_EQ(validate(d, "x").error().code, kUnsupported);
  d.layers.clear();
  EXPECT_EQ(validate(d, "x").error().code, kInvalid);
}

}  // namespace
}  // namespace hadal
