#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/engram_token_map.h"
#include "model/geometry.h"
#include "testing/temp_folder.h"
#include "testing/tiny_hadal.h"

namespace hadal {
namespace {

using test::ConfigChange;
using test::must;
using test::tiny_hadal;
using ::testing::HasSubstr;

ModelDescription parsed(std::initializer_list<ConfigChange> changes = {}) {
  return must(parse_model_config(tiny_hadal(changes), "config.json"));
}

TEST(HadalConfig, the_announced_system_is_what_its_texts_fix) {
  const json::Value config = must(geometry_config("seed", 0, false));
  const ModelDescription d = must(parse_model_config(config, "config.json"));
  EXPECT_EQ(d.family, "hadal");
  ASSERT_EQ(d.layers.size(), 64u);
  for (size_t l = 0; l < 64; ++l) {
    EXPECT_EQ(d.layers[l].attention, AttentionKind::kDsa);
    EXPECT_EQ(d.layers[l].ffn, l == 0 ? FfnKind::kDense : FfnKind::kMoe);
    EXPECT_EQ(d.layers[l].engram_rows, l == 1 ? 192003420 : l == 15 ? 192012468 : 0);
  }
  EXPECT_EQ(d.residual, ResidualKind::kLaggedHyperConnections);
  EXPECT_EQ(d.hc_mult, 4);
  EXPECT_EQ(d.hc_sinkhorn_iters, 20);
  EXPECT_EQ(d.n_routed_experts, 256);
  EXPECT_EQ(d.n_experts_per_token, 8);
  EXPECT_EQ(d.n_shared_experts, 1);
  EXPECT_EQ(d.context_tokens_max, 1048576);
  EXPECT_EQ(d.activation_block, 32);
  EXPECT_EQ(d.activation_scale, ActivationScale::kPowerOfTwo);
  // 0.1 ln 16 + 1
  EXPECT_NEAR(d.layers[0].rope.mscale(), 1.27725887, 1e-8);
}

TEST(HadalConfig, blocks_are_combined_by_layer) {
  const ModelDescription d = parsed(
      {{"attention", R"(["mla", "mla_dsa", "mla", "mla_dsa"])"}, {"ffn", R"(["moe", "dense", "dense", "moe"])"}});
  const AttentionKind attention[] = {AttentionKind::kMla, AttentionKind::kDsa, AttentionKind::kMla,
                                     AttentionKind::kDsa};
  const FfnKind ffn[] = {FfnKind::kMoe, FfnKind::kDense, FfnKind::kDense, FfnKind::kMoe};
  for (size_t l = 0; l < 4; ++l) {
    EXPECT_EQ(d.layers[l].attention, attention[l]) << l;
    EXPECT_EQ(d.layers[l].ffn, ffn[l]) << l;
    EXPECT_EQ(d.layers[l].compress_ratio, 1) << l;
  }
  EXPECT_EQ(d.layers[1].engram_rows, 97 + 101 + 103 + 107);
}

TEST(HadalConfig, one_key_switches_a_block) {
  EXPECT_EQ(parsed({{"residual", R"("plain")"}}).hc_mult, 1);
  EXPECT_EQ(parsed({{"residual", R"("plain")"}}).residual, ResidualKind::kPlain);
  EXPECT_EQ(parsed({{"hc_schedule", R"("same")"}}).residual, ResidualKind::kHyperConnections);
  EXPECT_EQ(parsed({{"hc_schedule", "-"}}).residual, ResidualKind::kLaggedHyperConnections);
  const ModelDescription mla = parsed({{"attention", R"("mla")"}});
  EXPECT_EQ(mla.layers[3].attention, AttentionKind::kMla);
  EXPECT_EQ(mla.index_topk, 0);
  EXPECT_EQ(parsed({{"ffn", R"("dense")"}}).n_routed_experts, 0);
  EXPECT_EQ(parsed({{"ffn", R"("moe")"}}).inter_dim, 0);
  EXPECT_EQ(parsed({{"ffn", "-"}, {"first_k_dense_replace", "2"}}).layers[1].ffn, FfnKind::kDense);
  EXPECT_EQ(parsed({{"engram_layer_ids", "[]"}}).engram_max_ngram, 0);
  const ModelDescription v4 = parsed({{"attention", R"("v4")"}, {"quantization_config", "null"}});
  EXPECT_EQ(v4.layers[0].attention, AttentionKind::kWindow);
  EXPECT_EQ(v4.layers[1].attention, AttentionKind::kCsa);
  EXPECT_EQ(v4.layers[2].attention, AttentionKind::kHca);
  EXPECT_EQ(v4.layers[1].rope.theta, 160000);
  EXPECT_EQ(v4.kv_lora_rank, 0);
  EXPECT_EQ(v4.window, 16);
}

TEST(HadalConfig, later_layers_look_into_the_blocks_of_the_candidate_source) {
  const ModelDescription d = parsed({{"attention", R"(["mla_dsa", "mla_dsa", "mla", "mla_dsa"])"},
                                     {"candidate_source_layer_id", "1"},
                                     {"candidate_topk_blocks", "12"}});
  EXPECT_EQ(d.layers[0].candidates, CandidateRole::kNone);
  EXPECT_EQ(d.layers[1].candidates, CandidateRole::kMakes);
  EXPECT_EQ(d.layers[2].candidates, CandidateRole::kNone);
  EXPECT_EQ(d.layers[3].candidates, CandidateRole::kTakes);
  EXPECT_EQ(d.candidate_topk_blocks, 12);
  EXPECT_EQ(d.candidate_block_size, 8);
}

struct Bad {
  const char* key;
  const char* value;
  const char* in;
  const char* want;
  const char* found;
  ErrorCode code = ErrorCode::kInvalid;
  ConfigChange also = {"hadal_version", "1"};
};

TEST(HadalConfig, what_does_not_go_together_is_refused_by_name) {
  constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;
  const Bad bad[] = {
      {"hadal_version", "-", "hadal_version", "1", "nothing", ErrorCode::kInvalid, {"bos_token_id", "0"}},
      {"hadal_version", "2", "hadal_version", "1", "2", kUnsupported, {"bos_token_id", "0"}},
      {"attention", "-", "attention", "\"mla\", \"mla_dsa\", \"v4\"", "nothing"},
      {"attention", R"("gqa")", "attention", "\"mla\", \"mla_dsa\", \"v4\"", "\"gqa\""},
      {"attention", R"(["mla"])", "attention", "4 entries", "1 entries"},
      {"attention", R"(["mla", "mla", 7, "mla"])", "attention[2]", "\"mla\"", "7"},
      {"attention", R"(["mla", "v4", "mla", "mla"])", "attention[1]", "latents (mla, mla_dsa)", "shared heads"},
      {"attention", R"(["v4", "v4", "v4", "mla_dsa"])", "attention[3]", "shared heads (v4)", "latents"},
      {"attention", R"("v4")", "quantization_config.weight_block_size", "[128, 128] with attention \"v4\"", "[32, 32]"},
      {"compress_ratios",
       "[0, 4]",
       "compress_ratios",
       "4 entries",
       "2 entries",
       ErrorCode::kInvalid,
       {"attention", R"("v4")"}},
      {"head_dim", "-", "head_dim", "an integer", "nothing", ErrorCode::kInvalid, {"attention", R"("v4")"}},
      {"kv_lora_rank", "-", "kv_lora_rank", "an integer", "nothing"},
      {"kv_lora_rank", "40", "kv_lora_rank", "a multiple of 16", "40"},
      {"index_topk", "-", "index_topk", "an integer", "nothing"},
      {"index_head_dim", "48", "index_head_dim", "a power of two from 32 on", "48"},
      {"index_head_dim", "16", "index_head_dim", "a power of two from 32 on", "16"},
      {"index_hadamard", "false", "index_hadamard", "true", "false", kUnsupported},
      {"index_rope", R"("pairs")", "index_rope", "\"first_half\"", "\"pairs\"", kUnsupported},
      {"index_norm", R"("rmsnorm")", "index_norm", "\"layernorm\"", "\"rmsnorm\"", kUnsupported},
      {"index_key_source_layer_ids", "[0, 2]", "index_key_source_layer_ids", "[0, 1, 2, 3]", "[0,2]", kUnsupported},
      {"candidate_source_layer_id", "4", "candidate_source_layer_id", "a layer with mla_dsa", "4"},
      {"candidate_source_layer_id",
       "1",
       "candidate_source_layer_id",
       "a layer with mla_dsa",
       "1",
       ErrorCode::kInvalid,
       {"attention", R"("mla")"}},
      {"candidate_source_layer_id",
       "1",
       "candidate_topk_blocks",
       "at least index_topk = 24",
       "2",
       ErrorCode::kInvalid,
       {"candidate_topk_blocks", "2"}},
      {"ffn", "-", "ffn", "\"dense\", \"moe\"", "nothing"},
      {"ffn", R"("glu")", "ffn", "\"dense\", \"moe\"", "\"glu\""},
      {"ffn", R"(["moe", "moe"])", "ffn", "4 entries", "2 entries"},
      {"first_k_dense_replace", "1", "first_k_dense_replace", "ffn says", "1"},
      {"first_k_dense_replace",
       "5",
       "first_k_dense_replace",
       "0 to num_hidden_layers = 4",
       "5",
       ErrorCode::kInvalid,
       {"ffn", "-"}},
      {"intermediate_size", "-", "intermediate_size", "an integer", "nothing"},
      {"n_group", "3", "n_group", "a divisor of n_routed_experts = 8", "3"},
      {"num_experts_per_tok", "5", "num_experts_per_tok", "at most the experts of topk_group = 2", "5"},
      {"scoring_func", R"("softmax")", "scoring_func", "\"sigmoid\" or \"sqrtsoftplus\"", "\"softmax\"", kUnsupported},
      {"norm_topk_prob", "false", "norm_topk_prob", "true", "false", kUnsupported},
      {"num_hash_layers", "1", "num_hash_layers", "0", "1", kUnsupported},
      {"residual", "-", "residual", "\"plain\", \"mhc\"", "nothing"},
      {"residual", R"("hc")", "residual", "\"plain\", \"mhc\"", "\"hc\""},
      {"hc_schedule", R"("last")", "hc_schedule", "\"same\", \"next\"", "\"last\""},
      {"hc_mult", "1", "hc_mult", "one stream is residual \"plain\"", "1"},
      {"hc_mult", "17", "hc_mult", "1 to 16", "17"},
      {"hc_sinkhorn_iters", "0", "hc_sinkhorn_iters", "1 to 1000", "0"},
      {"engram_form", R"("paper")", "engram_form", "\"v41\"", "\"paper\"", kUnsupported},
      {"engram_seed", "3", "engram_seed", "0", "3", kUnsupported},
      {"engram_num_embeddings", "[409]", "engram_num_embeddings[0]", "408 rows", "409 rows"},
      {"engram_layer_ids", "[4]", "engram_layer_ids[0]", "0 to 3", "4"},
      {"engram_pad_token_id", "-", "engram_pad_token_id", "an integer", "nothing"},
      {"num_nextn_predict_layers", "1", "num_nextn_predict_layers", "0", "1", kUnsupported},
      {"tie_word_embeddings", "true", "tie_word_embeddings", "false", "true", kUnsupported},
      {"quantization_config", R"({"quant_method": "fp8", "weight_block_size": [32, 32]})",
       "quantization_config.scale_fmt", "\"ue8m0\" with weight_block_size [32, 32]", "nothing"},
      {"hidden_size", "-", "hidden_size", "an integer", "nothing"},
      {"num_hidden_layers", "0", "num_hidden_layers", "1 to 1024", "0"},
  };
  for (const Bad& b : bad) {
    const Result<ModelDescription> d = parse_model_config(tiny_hadal({{b.key, b.value}, b.also}), "config.json");
    ASSERT_FALSE(d.ok()) << b.key << " = " << b.value;
    EXPECT_EQ(d.error().code, b.code) << d.error().to_string();
    EXPECT_THAT(d.error().in, HasSubstr(b.in)) << d.error().to_string();
    EXPECT_THAT(d.error().want, HasSubstr(b.want)) << d.error().to_string();
    EXPECT_THAT(d.error().found, HasSubstr(b.found)) << d.error().to_string();
  }
}

TEST(HadalConfig, the_inference_style_is_not_its_own) {
  json::Value config = tiny_hadal({{"hidden_size", "-"}, {"dim", "64"}});
  const Result<ModelDescription> d = parse_model_config(config, "config.json");
  ASSERT_FALSE(d.ok());
  EXPECT_THAT(d.error().in, HasSubstr("hidden_size"));
}

// Beside weights, as little-endian int32: where there is no list.
TEST(HadalConfig, the_token_map_may_be_bytes) {
  const ModelDescription d = parsed();
  const test::TempFolder folder;
  std::string bytes;
  for (int t = 0; t < 512; ++t) {
    for (const int shift : {0, 8, 16, 24}) bytes.push_back(static_cast<char>((t % 389) >> shift));
  }
  const auto read = [&](const std::string& text) {
    folder.write("engram_token_map.bin", text);
    ModelFiles files = must(ModelFiles::open(folder.path()));
    return read_engram_token_map(files, d, nullptr);
  };
  const std::vector<int32_t> classes = must(read(bytes));
  ASSERT_EQ(classes.size(), 512u);
  EXPECT_EQ(classes[388], 388);
  EXPECT_EQ(classes[511], 511 - 389);
  const auto refused = [&](const std::string& text) {
    const Result<std::vector<int32_t>> map = read(text);
    EXPECT_FALSE(map.ok());
    return map.ok() ? std::string() : map.error().to_string();
  };
  EXPECT_THAT(refused(bytes.substr(1)), HasSubstr("2047 bytes, 4 a token"));
  EXPECT_THAT(refused(bytes + bytes), HasSubstr("512 tokens (vocab_size)"));
  bytes[4 * 7 + 3] = static_cast<char>(0x80);
  EXPECT_THAT(refused(bytes), HasSubstr("token 7"));
  bytes[4 * 7 + 3] = 0;
  bytes[4 * 7] = static_cast<char>(389 - 256);
  bytes[4 * 7 + 1] = 1;
  EXPECT_THAT(refused(bytes), HasSubstr("0 to 388"));
  folder.write("engram_token_map.json", "[0]");
  EXPECT_THAT(refused(bytes), HasSubstr("engram_token_map.json"));
}

}  // namespace
}  // namespace hadal
