#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/io.h"
#include "model/engram_token_map.h"
#include "model/weight_set.h"
#include "testing/checkpoint_builder.h"

namespace hadal {
namespace {

using test::CheckpointBuilder;
using test::must;
using ::testing::HasSubstr;

const fs::path kData = fs::path(HADAL_SOURCE_DIR) / "tests/data";

json::Value config_of(std::string_view file) {
  return must(json::parse(must(read_file(kData / file, 1 << 20)), "config.json"));
}
json::Value published() {
  return config_of("v41-random/config.json");
}

// `key` of text_config with another value; "-" takes it out.
json::Value changed(std::string_view key, std::string_view value) {
  json::Value config = published();
  for (json::Member& member : config.members()) {
    if (member.first != "text_config") continue;
    if (value == "-") {
      std::erase_if(member.second.members(), [&](const json::Member& m) { return m.first == key; });
    } else {
      member.second.set(key, must(json::parse(value, "value")));
    }
  }
  return config;
}

TEST(DeepseekV41Config, the_published_style_is_read) {
  const ModelDescription d = must(parse_model_config(published(), "config.json"));
  EXPECT_EQ(d.family, "deepseek_v41");
  EXPECT_EQ(d.residual, ResidualKind::kLaggedHyperConnections);
  EXPECT_FALSE(d.has_query_norm);
  EXPECT_EQ(d.activation_block, 32);
  EXPECT_EQ(d.rms_norm_eps, 1e-20);
  EXPECT_EQ(d.candidate_topk_blocks, 12);
  EXPECT_EQ(d.candidate_block_size, 8);
  EXPECT_EQ(d.engram_n_classes, 389);
  EXPECT_EQ(d.engram_rows_per_token(), 12);
  EXPECT_TRUE(d.mtp_layers.empty());
  ASSERT_EQ(d.layers.size(), 7u);
  const auto layer = [&](size_t l) { return d.layers[l]; };
  // Window; full and reuse with ratio 2; full, reuse, reindex and reuse with ratio 1.
  EXPECT_EQ(layer(0).attention, AttentionKind::kWindow);
  EXPECT_EQ(layer(0).rope.original_tokens, 0);
  EXPECT_TRUE(layer(1).makes_entries() && layer(1).chooses_entries());
  EXPECT_EQ(layer(1).rope.original_tokens, 64);
  EXPECT_EQ(layer(2).entries_layer, 1);
  EXPECT_EQ(layer(2).chosen_layer, 1);
  EXPECT_EQ(layer(3).candidates, CandidateRole::kMakes);
  EXPECT_EQ(layer(4).entries_layer, 3);
  EXPECT_EQ(layer(5).entries_layer, 3);
  EXPECT_TRUE(layer(5).chooses_entries());
  EXPECT_EQ(layer(5).candidates, CandidateRole::kTakes);
  EXPECT_EQ(layer(6).chosen_layer, 5);
  EXPECT_EQ(layer(1).engram_rows, 1040);
  EXPECT_EQ(layer(4).engram_rows, 1786);
}

TEST(DeepseekV41Config, the_official_style_says_the_same) {
  for (const char* folder : {"v41-random", "v41-random-fp8"}) {
    ModelDescription a = must(parse_model_config(config_of(std::string(folder) + "/config.json"), "config.json"));
    ModelDescription b = must(parse_model_config(config_of(std::string(folder) + "/inference/config.json"), "args"));
    // ModelArgs has neither the length of the context nor these tokens.
    b.context_tokens_max = a.context_tokens_max;
    b.bos_token_id = a.bos_token_id;
    b.eos_token_id = a.eos_token_id;
    EXPECT_EQ(json::dump(description_to_json(a)), json::dump(description_to_json(b)));
  }
}

struct BadConfig {
  const char* key;
  const char* value;
  const char* in;
  const char* want;
  ErrorCode code = ErrorCode::kInvalid;
};

TEST(DeepseekV41Config, contradictions_are_refused_by_name) {
  const BadConfig bad[] = {
      {"engram_num_embeddings", "[1040, 1787]", "engram_num_embeddings[1]", "1786 rows"},
      {"engram_num_embeddings", "[1040]", "engram_num_embeddings", "2 tables"},
      {"engram_vocab_size", "71", "engram_num_embeddings[0]", "the sum of the primes"},
      {"engram_layer_ids", "[4, 1]", "engram_layer_ids", "ascending"},
      {"engram_layer_ids", "[1, 7]", "engram_layer_ids[1]", "0 to 6"},
      {"engram_pad_id", "512", "engram_pad_id", "below vocab_size"},
      {"engram_pad_id", "-", "engram_pad_token_id", "an integer"},
      {"engram_head_dim", "33", "engram_head_dim", "a multiple of 32"},
      {"engram_n_heads", "-", "engram_n_heads", "1 to 64"},
      {"engram_max_ngram_size", "9", "engram_max_ngram_size", "2 to 8"},
      {"kv_source_layer_ids", "[0, 3]", "kv_source_layer_ids", "ratio above 0"},
      {"kv_source_layer_ids", "[1]", "candidate_source_layer_id", "a kv and index source"},
      {"compress_ratios", "[0, 2, 2, 2, 1, 1, 1]", "kv_source_layer_ids", "with its compress ratio 1"},
      {"kv_source_layer_ids", "[3]", "kv_source_layer_ids", "at or before layer 1"},
      {"index_source_layer_ids", "[3, 5]", "index_source_layer_ids", "layer 1 too"},
      {"index_source_layer_ids", "[0, 1, 3, 5]", "index_source_layer_ids", "ratio above 0"},
      {"index_source_layer_ids", "[1, 3, 9]", "index_source_layer_ids[2]", "0 to 6"},
      {"candidate_source_layer_id", "5", "candidate_source_layer_id", "a kv and index source"},
      {"candidate_source_layer_id", "1", "candidate_source_layer_id", "the source of the entries of layer 3"},
      {"candidate_source_layer_id", "7", "candidate_source_layer_id", "-1 (none) to 6"},
      {"candidate_topk_blocks", "2", "candidate_topk_blocks", "at least index_topk = 24"},
      {"candidate_topk_blocks", "0", "candidate_topk_blocks", "1 to"},
      {"candidate_block_size", "12", "candidate_block_size", "a power of two up to 16", ErrorCode::kUnsupported},
      {"gate_temp", "0.5", "gate_temp", "1.0", ErrorCode::kUnsupported},
      {"compress_ratios", "[0, 2, 2]", "compress_ratios", "7 entries"},
      {"index_head_dim", "48", "index_head_dim", "a multiple of 32"},
      {"rms_norm_eps", "0", "rms_norm_eps", "1e-30"},
      {"vocab_size", "-", "vocab_size", "an integer"},
  };
  for (const BadConfig& row : bad) {
    const Result<ModelDescription> d = parse_model_config(changed(row.key, row.value), "config.json");
    ASSERT_FALSE(d.ok()) << row.key << " " << row.value;
    EXPECT_EQ(d.error().code, row.code) << d.error().to_string();
    EXPECT_THAT(d.error().in, HasSubstr(row.in)) << d.error().to_string();
    EXPECT_THAT(d.error().want, HasSubstr(row.want)) << d.error().to_string();
  }
}

TEST(DeepseekV41Config, drafts_are_left_out) {
  json::Value config = changed("num_nextn_predict_layers", "3");
  const ModelDescription d = must(parse_model_config(config, "config.json"));
  EXPECT_TRUE(d.mtp_layers.empty());
}

TEST(DeepseekV41Weights, bind_in_both_storages) {
  for (const char* folder : {"v41-random", "v41-random-fp8"}) {
    ModelFiles files = must(ModelFiles::open(kData / folder));
    const ModelDescription d = must(parse_model_config(config_of(std::string(folder) + "/config.json"), "config.json"));
    const Checkpoint checkpoint = must(Checkpoint::open(files));
    const WeightSet set = must(WeightSet::bind(d, checkpoint));
    const ModelWeights& w = set.weights();
    EXPECT_EQ(w.layers[1].engram.table.rows, 1040);
    EXPECT_EQ(w.layers[1].engram.table.scale_rows, 1);
    EXPECT_TRUE(w.layers[2].compressor.wkv.empty());
    EXPECT_TRUE(w.layers[3].compressor.wgate.empty());
    EXPECT_TRUE(w.layers[5].indexer.wk.empty());
    EXPECT_FALSE(w.layers[5].indexer.wq_b.empty());
    // The router's biases for images, one a layer.
    EXPECT_EQ(set.n_skipped_vision(), static_cast<int64_t>(d.layers.size()));
  }
}

TEST(DeepseekV41Weights, of_the_vision_tower_are_skipped_and_counted) {
  CheckpointBuilder builder = CheckpointBuilder::from(kData / "v41-random");
  builder.tensors.push_back({"vision.norm.weight", DType::kBF16, {2}, std::string(4, '\0')});
  builder.tensors.push_back({"aligner.w1.bias", DType::kBF16, {2}, std::string(4, '\0')});
  builder.tensors.push_back({"image_start", DType::kBF16, {2}, std::string(4, '\0')});
  ModelFiles files = builder.files();
  const Checkpoint checkpoint = must(Checkpoint::open(files));
  const ModelDescription d = must(parse_model_config(builder.config, "config.json"));
  EXPECT_EQ(must(WeightSet::bind(d, checkpoint)).n_skipped_vision(), 7 + 3);
}

TEST(DeepseekV41Weights, a_table_of_another_size_is_refused) {
  CheckpointBuilder builder = CheckpointBuilder::from(kData / "v41-random");
  auto& table = builder.tensor("layers.4.engram.embed.weight");
  table.shape = {1785, 32};
  table.bytes.resize(1785 * 32);
  ModelFiles files = builder.files();
  const Checkpoint checkpoint = must(Checkpoint::open(files));
  const ModelDescription d = must(parse_model_config(builder.config, "config.json"));
  const Result<WeightSet> set = WeightSet::bind(d, checkpoint);
  ASSERT_FALSE(set.ok());
  EXPECT_THAT(set.error().in, HasSubstr("layers.4.engram.embed.weight"));
  EXPECT_THAT(set.error().want, HasSubstr("[1786, 32]"));
  // The last layer has no table, but the model has.
  EXPECT_THAT(set.error().hint, testing::Not(HasSubstr("looks like")));
}

TEST(EngramTokenMap, that_does_not_fit_is_refused_by_token) {
  const ModelDescription d = must(parse_model_config(published(), "config.json"));
  std::string all = "[0";
  for (int t = 1; t < 512; ++t) all += "," + std::to_string(t % 389);
  EXPECT_TRUE(parse_engram_token_map(all + "]", d, "map").ok());
  const auto error = [&](const std::string& text) {
    const Result<std::vector<int32_t>> map = parse_engram_token_map(text, d, "map");
    EXPECT_FALSE(map.ok());
    return map.ok() ? std::string() : map.error().to_string();
  };
  EXPECT_THAT(error(all + ",1]"), HasSubstr("512 tokens (vocab_size)"));
  EXPECT_THAT(error("{}"), HasSubstr("a list: one class per token"));
  const std::string far = "[389" + all.substr(2) + "]";
  EXPECT_THAT(error(far), HasSubstr("map, token 0"));
  EXPECT_THAT(error("[-1" + all.substr(2) + "]"), HasSubstr("0 to 388"));
  EXPECT_THAT(error("[0.5" + all.substr(2) + "]"), HasSubstr("0.5"));
  EXPECT_THAT(error(all), HasSubstr("map"));
}

TEST(EngramTokenMap, that_is_missing_is_asked_for) {
  CheckpointBuilder builder = CheckpointBuilder::from(kData / "v41-random");
  ModelFiles files = builder.files();
  const ModelDescription d = must(parse_model_config(published(), "config.json"));
  const Result<std::vector<int32_t>> map = read_engram_token_map(files, d, nullptr);
  ASSERT_FALSE(map.ok());
  EXPECT_THAT(map.error().to_string(), HasSubstr("engram_token_map.json"));
}

}  // namespace
}  // namespace hadal
