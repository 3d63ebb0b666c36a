#include "model/weight_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <set>

#include "base/io.h"
#include "model/stored_weights.h"
#include "model/tensor_names.h"
#include "testing/checkpoint_builder.h"

namespace hadal {
namespace {

using test::BuilderTensor;
using test::CheckpointBuilder;
using test::must;
using ::testing::HasSubstr;

const fs::path kSource = HADAL_SOURCE_DIR;
const fs::path kRandom = kSource / "tests/data/v4-random";
const fs::path kRandomHf = kSource / "tests/data/v4-random-hf";
const fs::path kRandomFp8 = kSource / "tests/data/v4-random-fp8";
const fs::path kTiny = kSource / "models/v4-tiny";

ModelDescription described(ModelFiles& files) {
  return must(
      parse_model_config(must(json::parse(must(files.text("config.json", 1 << 20)), "config.json")), "config.json"));
}

struct Loaded {
  explicit Loaded(const fs::path& folder) : Loaded(must(ModelFiles::open(folder))) {}
  explicit Loaded(ModelFiles model_files)
      : files(std::move(model_files)), description(described(files)), checkpoint(must(Checkpoint::open(files))) {}

  ModelFiles files;
  ModelDescription description;
  Checkpoint checkpoint;
};

std::string_view bytes_of(const Weight& w) {
  return {reinterpret_cast<const char*>(w.data), static_cast<size_t>(w.rows * w.row_bytes())};
}

TEST(WeightSet, every_fixture_binds) {
  for (const fs::path& folder : {kRandom, kRandomHf, kRandomFp8, kTiny}) {
    const Loaded model(folder);
    const Result<WeightSet> set = WeightSet::bind(model.description, model.checkpoint);
    ASSERT_TRUE(set.ok()) << folder << "\n" << set.error().to_string();
    EXPECT_EQ(set->weights().layers.size(), model.description.layers.size());
    EXPECT_EQ(set->has_mtp(), folder != kRandomHf);
    EXPECT_GT(set->owned_bytes(), 0u);
    EXPECT_GT(set->mapped_bytes(), model.checkpoint.tensor_bytes() * 3 / 4);
  }
}

TEST(WeightSet, a_dense_checkpoint_is_used_where_it_is_mapped) {
  const Loaded model(kRandom);
  const WeightSet set = must(WeightSet::bind(model.description, model.checkpoint));
  const LayerWeights& layer = set.weights().layers[1];
  const StoredTensor& wkv = *model.checkpoint.find("layers.1.attn.wkv.weight");
  EXPECT_EQ(layer.wkv.data, wkv.bytes.data());
  EXPECT_EQ(layer.wkv.dtype, DType::kBF16);
  EXPECT_EQ(layer.wkv.rows, 80);
  EXPECT_EQ(layer.wkv.cols, 64);
  EXPECT_EQ(layer.wkv.scale, nullptr);
  EXPECT_EQ(layer.indexer.compressor.ape.size(), 4u * 64u);
  EXPECT_EQ(layer.tid2eid.size(), 512u * 2u);
  EXPECT_TRUE(layer.gate_bias.empty());
  EXPECT_EQ(layer.experts.size(), 8u);

  const StoredTensor& norm = *model.checkpoint.find("layers.1.attn.kv_norm.weight");
  for (size_t i = 0; i < layer.kv_norm.size(); ++i) {
    EXPECT_EQ(layer.kv_norm[i], stored_float(norm, static_cast<int64_t>(i)));
  }
  EXPECT_TRUE(set.weights().layers[0].compressor.wkv.empty());
  EXPECT_TRUE(set.weights().layers[2].indexer.wq_b.empty());
  EXPECT_FALSE(set.weights().layers[2].compressor.wkv.empty());
  EXPECT_EQ(set.weights().mtp[0].e_proj.rows, 64);
}

TEST(WeightSet, both_namings_give_the_same_weights) {
  const Loaded official(kRandom), transformers(kRandomHf);
  const WeightSet a = must(WeightSet::bind(official.description, official.checkpoint));
  const WeightSet b = must(WeightSet::bind(transformers.description, transformers.checkpoint));
  size_t n_compared = 0;
  const auto compare = [&](const auto& row, auto& left, auto& right, const std::string& place) {
    std::visit(
        [&](auto slot) {
          const auto& x = slot(left);
          const auto& y = slot(right);
          if constexpr (std::is_same_v<std::decay_t<decltype(x)>, Weight>) {
            EXPECT_EQ(bytes_of(x), bytes_of(y)) << place << row.official;
          } else {
            EXPECT_TRUE(std::equal(x.begin(), x.end(), y.begin(), y.end())) << place << row.official;
          }
          ++n_compared;
        },
        row.slot);
  };
  auto left = a.weights();
  auto right = b.weights();
  for (const auto& row : model_rows()) compare(row, left, right, "");
  for (size_t l = 0; l < left.layers.size(); ++l) {
    for (const auto& row : layer_rows()) compare(row, left.layers[l], right.layers[l], std::to_string(l) + ".");
    for (size_t e = 0; e < left.layers[l].experts.size(); ++e) {
      for (const auto& row : expert_rows()) {
        compare(row, left.layers[l].experts[e], right.layers[l].experts[e], std::to_string(l) + ".");
      }
    }
  }
  EXPECT_EQ(n_compared, model_rows().size() + 6 * (layer_rows().size() + 8 * 3));
}

TEST(WeightSet, the_table_agrees_with_the_fixtures_name_map) {
  Loaded model(kRandom);
  model.description.mtp_layers.clear();
  const json::Value map = must(json::parse(must(read_file(kRandomHf / "name_map.json", 1 << 20)), "name_map.json"));
  const std::vector<ExpectedTensor> expected = expected_tensors(model.description);
  EXPECT_EQ(expected.size(), map.members().size());
  for (const ExpectedTensor& tensor : expected) {
    const json::Value* name = map.find(tensor.official_name);
    ASSERT_NE(name, nullptr) << tensor.official_name;
    EXPECT_EQ(name->as_string(), tensor.transformers_name);
  }
}

TEST(WeightSet, the_expected_tensors_are_those_of_the_checkpoint) {
  for (const fs::path& folder : {kRandom, kRandomFp8, kTiny}) {
    const Loaded model(folder);
    std::set<std::string> names;
    for (const ExpectedTensor& tensor : expected_tensors(model.description)) names.insert(tensor.official_name);
    for (const StoredTensor& tensor : model.checkpoint.tensors()) {
      if (tensor.name.ends_with(".scale")) continue;
      EXPECT_EQ(names.erase(std::string(tensor.name)), 1u) << tensor.name;
    }
    EXPECT_TRUE(names.empty()) << *names.begin();
  }
}

TEST(WeightSet, fp8_and_fp4_keep_their_codes_and_tiles) {
  const Loaded model(kRandomFp8);
  const WeightSet set = must(WeightSet::bind(model.description, model.checkpoint));
  const Weight& wq_b = set.weights().layers[0].wq_b;
  EXPECT_EQ(wq_b.dtype, DType::kF8E4M3);
  EXPECT_EQ(wq_b.scale_dtype, DType::kF8E8M0);
  EXPECT_EQ(wq_b.scale_rows, 128);
  EXPECT_EQ(wq_b.scale_cols, 128);
  EXPECT_EQ(wq_b.bytes(), 512 * 128 + 4);
  const Weight& w2 = set.weights().layers[1].experts[4].w2;
  EXPECT_EQ(w2.dtype, DType::kF4E2M1);
  EXPECT_EQ(w2.rows, 256);
  EXPECT_EQ(w2.cols, 128);
  EXPECT_EQ(w2.scale_rows, 1);
  EXPECT_EQ(w2.scale_cols, 32);
  EXPECT_EQ(w2.bytes(), 256 * 64 + 256 * 4);
}

TEST(WeightSet, matrices_at_odd_addresses_are_copied_to_even_ones) {
  // The F32 matrices of this file begin at multiples of 2.
  const Loaded model(kRandomFp8);
  const StoredTensor& stored = *model.checkpoint.find("layers.0.hc_attn_fn");
  ASSERT_NE(reinterpret_cast<uintptr_t>(stored.bytes.data()) % 4, 0u);
  const WeightSet set = must(WeightSet::bind(model.description, model.checkpoint));
  const Weight& fn = set.weights().layers[0].attn_hc.fn;
  EXPECT_EQ(reinterpret_cast<uintptr_t>(fn.data) % 4, 0u);
  EXPECT_EQ(std::memcmp(fn.data, stored.bytes.data(), stored.bytes.size()), 0);
}

// --- checkpoints that are stored otherwise and are right all the same
// --------------------------------------------------

struct GoodVariant {
  const char* why;
  std::function<void(CheckpointBuilder&)> bend;
};

void rename(CheckpointBuilder& builder, std::string_view from, std::string_view to) {
  for (BuilderTensor& tensor : builder.tensors) {
    if (const size_t at = tensor.name.find(from); at != std::string::npos) tensor.name.replace(at, from.size(), to);
  }
}

void prefix_all(CheckpointBuilder& builder, const std::string& prefix) {
  for (BuilderTensor& tensor : builder.tensors) tensor.name = prefix + tensor.name;
}

// E8M0 scales widened to F32 under V3's name.
void widen_scales(CheckpointBuilder& builder, std::string_view only) {
  for (BuilderTensor& tensor : builder.tensors) {
    if (tensor.dtype != DType::kF8E8M0 || tensor.name.find(only) == std::string::npos) continue;
    std::string widened;
    for (const char code : tensor.bytes) {
      const float v = e8m0_to_f32(static_cast<uint8_t>(code));
      widened.append(reinterpret_cast<const char*>(&v), 4);
    }
    tensor.bytes = widened;
    tensor.dtype = DType::kF32;
    tensor.name = tensor.name.substr(0, tensor.name.size() - 5) + "weight_scale_inv";
  }
}

TEST(WeightSet, other_ways_to_store_the_same_bind) {
  const GoodVariant variants[] = {
      {"model. before all names", [](CheckpointBuilder& b) { prefix_all(b, "model."); }},
      {"V3's scales", [](CheckpointBuilder& b) { widen_scales(b, ".attn."); }},
      {"codes of experts as U8",
       [](CheckpointBuilder& b) { b.tensor("layers.0.ffn.experts.0.w1.weight").dtype = DType::kU8; }},
      {"codes of experts as F4",
       [](CheckpointBuilder& b) {
         BuilderTensor& t = b.tensor("layers.0.ffn.experts.0.w1.weight");
         t.dtype = DType::kF4E2M1;
         t.shape = {128, 256};
       }},
      {"norm as F32",
       [](CheckpointBuilder& b) {
         b.tensor("norm.weight").dtype = DType::kF32;
         b.tensor("norm.weight").fit();
       }},
      {"sink as F16",
       [](CheckpointBuilder& b) {
         b.tensor("layers.0.attn.attn_sink").dtype = DType::kF16;
         b.tensor("layers.0.attn.attn_sink").fit();
       }},
      {"no quantization_config", [](CheckpointBuilder& b) { b.config.set("quantization_config", {}); }},
      {"no expert_dtype", [](CheckpointBuilder& b) { b.config.set("expert_dtype", {}); }},
      {"copies of embedding and head in the draft layer",
       [](CheckpointBuilder& b) {
         b.tensors.push_back({"mtp.0.emb.tok_emb.weight", DType::kBF16, {256, 256}, std::string(131072, '\0')});
         b.tensors.push_back({"mtp.0.head.weight", DType::kBF16, {256, 256}, std::string(131072, '\0')});
       }},
      {"32 x 32 tiles, without a config that says so",
       [](CheckpointBuilder& b) {
         b.config.set("quantization_config", {});
         BuilderTensor& scale = b.tensor("layers.0.attn.wkv.scale");
         scale.shape = {4, 8};
         scale.bytes.assign(32, '\x7f');
       }},
      {"V3's experts",
       [](CheckpointBuilder& b) {
         rename(b, "layers.0.ffn.experts.0.w1.scale", "model.layers.0.mlp.experts.0.gate_proj.weight_scale_inv");
         rename(b, "layers.0.ffn.experts.0.w1.weight", "model.layers.0.mlp.experts.0.gate_proj.weight");
       }},
  };
  for (const GoodVariant& variant : variants) {
    CheckpointBuilder builder = CheckpointBuilder::from(kRandomFp8);
    variant.bend(builder);
    const Loaded model(builder.files());
    const Result<WeightSet> set = WeightSet::bind(model.description, model.checkpoint);
    EXPECT_TRUE(set.ok()) << variant.why << "\n" << (set.ok() ? "" : set.error().to_string());
  }
}

TEST(WeightSet, both_spellings_of_the_indexers_scorer_bind) {
  CheckpointBuilder builder = CheckpointBuilder::from(kRandomHf);
  rename(builder, "indexer.scorer.weights_proj", "indexer.weights_proj");
  const Loaded model(builder.files());
  EXPECT_TRUE(WeightSet::bind(model.description, model.checkpoint).ok());
}

TEST(WeightSet, a_checkpoint_without_draft_layers_binds_without_them) {
  CheckpointBuilder builder = CheckpointBuilder::from(kRandom);
  std::erase_if(builder.tensors, [](const BuilderTensor& t) { return t.name.starts_with("mtp."); });
  const Loaded model(builder.files());
  EXPECT_EQ(model.description.mtp_layers.size(), 1u);
  const WeightSet set = must(WeightSet::bind(model.description, model.checkpoint));
  EXPECT_FALSE(set.has_mtp());
}

TEST(WeightSet, a_description_without_draft_layers_leaves_those_of_the_checkpoint) {
  Loaded model(kRandom);
  model.description.mtp_layers.clear();
  EXPECT_FALSE(must(WeightSet::bind(model.description, model.checkpoint)).has_mtp());
}

TEST(WeightSet, stacked_fp8_experts_take_their_scales_along) {
  CheckpointBuilder builder = CheckpointBuilder::from(kRandomHf);
  // 32 rows an expert and part: tiles of 32 fit, tiles of 128 would reach across experts.
  builder.config.set("quantization_config",
                     must(json::parse(R"({"quant_method":"fp8","weight_block_size":[32,32]})", "")));
  BuilderTensor& stack = builder.tensor("model.layers.0.mlp.experts.gate_up_proj");
  ASSERT_EQ(stack.shape, (std::vector<int64_t>{8, 64, 64}));
  stack.dtype = DType::kF8E4M3;
  stack.fit();
  std::string scales;
  for (int i = 0; i < 8 * 2 * 2; ++i) scales += static_cast<char>(i);
  builder.tensors.push_back({"model.layers.0.mlp.experts.gate_up_proj_scale_inv", DType::kF8E8M0, {8, 2, 2}, scales});
  {
    const Loaded model(builder.files());
    const WeightSet set = must(WeightSet::bind(model.description, model.checkpoint));
    const ExpertWeights& expert = set.weights().layers[0].experts[3];
    EXPECT_EQ(static_cast<int>(expert.w1.scale[0]), 12);
    EXPECT_EQ(static_cast<int>(expert.w3.scale[0]), 14);
    EXPECT_EQ(expert.w3.data - expert.w1.data, 32 * 64);
  }
  builder.config.set("quantization_config",
                     must(json::parse(R"({"quant_method":"fp8","weight_block_size":[128,128]})", "")));
  builder.tensor("model.layers.0.mlp.experts.gate_up_proj_scale_inv").shape = {8, 1, 1};
  builder.tensor("model.layers.0.mlp.experts.gate_up_proj_scale_inv").fit();
  const Loaded model(builder.files());
  EXPECT_EQ(WeightSet::bind(model.description, model.checkpoint).error().code, ErrorCode::kUnsupported);
}

// --- checkpoints that are wrong
// ----------------------------------------------------------------------------------------

struct BadVariant {
  const char* why;
  std::function<void(CheckpointBuilder&)> bend;
  ErrorCode code;
  const char* in;
  const char* want;
  const char* found;
};

void set_shape(CheckpointBuilder& builder, std::string_view name, std::vector<int64_t> shape) {
  builder.tensor(name).shape = std::move(shape);
  builder.tensor(name).fit();
}

void set_dtype(CheckpointBuilder& builder, std::string_view name, DType dtype) {
  builder.tensor(name).dtype = dtype;
  builder.tensor(name).fit();
}

void set_float(CheckpointBuilder& builder, std::string_view name, size_t i, float v) {
  std::memcpy(builder.tensor(name).bytes.data() + 4 * i, &v, 4);
}

TEST(WeightSet, each_bad_checkpoint_is_refused_with_tensor_want_and_found) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const BadVariant variants[] = {
      {"missing matrix", [](auto& b) { b.erase("layers.1.attn.wkv.weight"); }, ErrorCode::kNotFound,
       "\"layers.1.attn.wkv.weight\"", "[128, 256]   (head_dim x hidden_size, from config.json)", "self_attn.kv_proj"},
      {"missing vector", [](auto& b) { b.erase("norm.weight"); }, ErrorCode::kNotFound, "\"norm.weight\"", "[256]",
       "no such tensor"},
      {"missing expert", [](auto& b) { b.erase("layers.0.ffn.experts.4.w2.weight"); }, ErrorCode::kNotFound,
       "\"layers.0.ffn.experts.4.w2.weight\"", "[256, 128]", "no such tensor"},
      {"missing table", [](auto& b) { b.erase("layers.0.ffn.gate.tid2eid"); }, ErrorCode::kNotFound,
       "layers.0.ffn.gate.tid2eid", "[256, 2]", "no such tensor"},
      {"missing draft tensor", [](auto& b) { b.erase("mtp.0.e_proj.weight"); }, ErrorCode::kNotFound,
       "mtp.0.e_proj.weight", "[256, 256]", "no such tensor"},
      {"missing scales", [](auto& b) { b.erase("layers.1.attn.wkv.scale"); }, ErrorCode::kNotFound,
       "\"layers.1.attn.wkv.weight\"", ".scale", "no such tensor"},
      {"missing scales of an expert", [](auto& b) { b.erase("layers.1.ffn.experts.3.w1.scale"); }, ErrorCode::kNotFound,
       "\"layers.1.ffn.experts.3.w1.weight\"", ".scale", "no such tensor"},
      {"extra tensor",
       [](auto& b) {
         b.tensors.push_back({"layers.0.attn.bias", DType::kF32, {2}, "12345678"});
       },
       ErrorCode::kInvalid, "\"layers.0.attn.bias\"", "no such tensor", "F32 [2]"},
      {"layer too many",
       [](auto& b) {
         b.tensors.push_back({"layers.2.hc_attn_scale", DType::kF32, {2}, "12345678"});
       },
       ErrorCode::kInvalid, "\"layers.2.hc_attn_scale\"", "no such tensor", "F32 [2]"},
      {"vision tower",
       [](auto& b) {
         b.tensors.push_back({"vision.x.weight", DType::kF32, {2}, "12345678"});
       },
       ErrorCode::kInvalid, "\"vision.x.weight\"", "no such tensor", "F32 [2]"},
      {"bias in a hash layer",
       [](auto& b) {
         b.tensors.push_back({"layers.0.ffn.gate.bias", DType::kF32, {2}, "12345678"});
       },
       ErrorCode::kInvalid, "\"layers.0.ffn.gate.bias\"", "no such tensor", "F32 [2]"},
      {"both spellings",
       [](auto& b) {
         BuilderTensor copy = b.tensor("norm.weight");
         copy.name = "model.norm.weight";
         b.tensors.push_back(copy);
       },
       ErrorCode::kInvalid, "\"model.norm.weight\"", "no such tensor", "BF16 [256]"},
      {"scales of a matrix that has none", [](auto& b) { set_dtype(b, "layers.1.attn.wkv.weight", DType::kBF16); },
       ErrorCode::kInvalid, "\"layers.1.attn.wkv.scale\"", "no such tensor", "F8_E8M0 [1, 2]"},
      {"matrix mis-shaped",
       [](auto& b) {
         set_shape(b, "layers.1.attn.wkv.weight", {144, 256});
       },
       ErrorCode::kInvalid, "\"layers.1.attn.wkv.weight\"", "[128, 256]   (head_dim x hidden_size, from config.json)",
       "[144, 256]"},
      {"matrix transposed",
       [](auto& b) {
         set_shape(b, "layers.0.attn.wq_b.weight", {128, 512});
       },
       ErrorCode::kInvalid, "\"layers.0.attn.wq_b.weight\"",
       "[512, 128]   (num_attention_heads * head_dim x q_lora_rank", "[128, 512]"},
      {"matrix with one axis", [](auto& b) { set_shape(b, "layers.1.attn.wkv.weight", {128 * 256}); },
       ErrorCode::kInvalid, "\"layers.1.attn.wkv.weight\"", "[128, 256]", "[32768]"},
      {"codes mis-shaped",
       [](auto& b) {
         set_shape(b, "layers.1.ffn.experts.0.w1.weight", {128, 256});
       },
       ErrorCode::kInvalid, "experts.0.w1.weight", "[128, 128]   (moe_intermediate_size x hidden_size / 2",
       "[128, 256]"},
      {"vector mis-shaped", [](auto& b) { set_shape(b, "norm.weight", {255}); }, ErrorCode::kInvalid, "\"norm.weight\"",
       "[256]   (hidden_size, from config.json)", "[255]"},
      {"table mis-shaped",
       [](auto& b) {
         set_shape(b, "layers.0.ffn.gate.tid2eid", {256, 3});
       },
       ErrorCode::kInvalid, "tid2eid", "[256, 2]   (vocab_size x num_experts_per_tok, from config.json)", "[256, 3]"},
      {"matrix of integers", [](auto& b) { set_dtype(b, "layers.1.attn.compressor.wkv.weight", DType::kI16); },
       ErrorCode::kInvalid, "compressor.wkv.weight", "BF16", "I16"},
      {"matrix as E5M2", [](auto& b) { set_dtype(b, "layers.1.attn.wkv.weight", DType::kF8E5M2); }, ErrorCode::kInvalid,
       "wkv.weight", "F8_E4M3", "F8_E5M2"},
      {"vector as FP8", [](auto& b) { set_dtype(b, "norm.weight", DType::kF8E4M3); }, ErrorCode::kInvalid,
       "\"norm.weight\"", "F32, F16, BF16 or a block type of GGUF", "F8_E4M3"},
      {"table of floats", [](auto& b) { set_dtype(b, "layers.0.ffn.gate.tid2eid", DType::kF32); }, ErrorCode::kInvalid,
       "tid2eid", "I64 or I32", "F32"},
      {"scales of another tile",
       [](auto& b) {
         set_shape(b, "layers.0.attn.wq_b.scale", {16, 4});
       },
       ErrorCode::kInvalid, "\"layers.0.attn.wq_b.scale\"", "[4, 1]   (one per 128 x 128 of [512, 128])", "[16, 4]"},
      {"scales per row",
       [](auto& b) {
         set_shape(b, "layers.0.attn.wq_b.scale", {512, 1});
       },
       ErrorCode::kInvalid, "\"layers.0.attn.wq_b.scale\"", "[4, 1]", "[512, 1]"},
      {"FP4 with a scale per 16",
       [](auto& b) {
         set_shape(b, "layers.0.ffn.experts.0.w1.scale", {128, 16});
       },
       ErrorCode::kInvalid, "experts.0.w1.scale", "[128, 8]   (one per 1 x 32 of [128, 256])", "[128, 16]"},
      {"FP4 with float scales", [](auto& b) { set_dtype(b, "layers.0.ffn.experts.0.w1.scale", DType::kF32); },
       ErrorCode::kInvalid, "experts.0.w1.scale", "F8_E8M0", "F32"},
      {"scales of BF16", [](auto& b) { set_dtype(b, "layers.1.attn.wkv.scale", DType::kBF16); }, ErrorCode::kInvalid,
       "\"layers.1.attn.wkv.scale\"", "F8_E8M0 or F32", "BF16"},
      {"NaN in scales", [](auto& b) { b.tensor("layers.0.attn.wq_b.scale").bytes[2] = '\xff'; }, ErrorCode::kCorrupt,
       "\"layers.0.attn.wq_b.scale\"", "finite scales", "element 2"},
      {"NaN in float scales",
       [](auto& b) {
         widen_scales(b, "layers.0.attn.wq_b");
         set_float(b, "layers.0.attn.wq_b.weight_scale_inv", 1, kNaN);
       },
       ErrorCode::kCorrupt, "wq_b.weight_scale_inv", "finite scales", "element 1"},
      {"NaN in a vector", [](auto& b) { set_float(b, "layers.1.attn.attn_sink", 3, kNaN); }, ErrorCode::kCorrupt,
       "\"layers.1.attn.attn_sink\"", "finite numbers", "nan at element 3"},
      {"infinity in a vector",
       [](auto& b) { set_float(b, "hc_head_base", 0, -std::numeric_limits<float>::infinity()); }, ErrorCode::kCorrupt,
       "\"hc_head_base\"", "finite numbers", "-inf at element 0"},
      {"expert beyond the last", [](auto& b) { b.tensor("layers.0.ffn.gate.tid2eid").bytes[4 * 7] = 5; },
       ErrorCode::kCorrupt, "tid2eid", "0 to 4", "5 for token 3"},
      {"negative expert", [](auto& b) { b.tensor("layers.0.ffn.gate.tid2eid").bytes[4 * 7 + 3] = '\x80'; },
       ErrorCode::kCorrupt, "tid2eid", "0 to 4", "for token 3"},
      {"expert twice",
       [](auto& b) {
         std::string& bytes = b.tensor("layers.0.ffn.gate.tid2eid").bytes;
         bytes[4 * 7] = bytes[4 * 6];
       },
       ErrorCode::kCorrupt, "tid2eid", "2 different experts", "twice for token 3"},
  };
  for (const BadVariant& variant : variants) {
    CheckpointBuilder builder = CheckpointBuilder::from(kRandomFp8);
    variant.bend(builder);
    const Loaded model(builder.files());
    const Result<WeightSet> set = WeightSet::bind(model.description, model.checkpoint);
    ASSERT_FALSE(set.ok()) << variant.why;
    const Error& error = set.error();
    EXPECT_EQ(error.code, variant.code) << variant.why << "\n" << error.to_string();
    EXPECT_THAT(error.in, HasSubstr(variant.in)) << variant.why;
    EXPECT_THAT(error.want, HasSubstr(variant.want)) << variant.why;
    EXPECT_THAT(error.found, HasSubstr(variant.found)) << variant.why;
    if (error.code == ErrorCode::kInvalid || error.code == ErrorCode::kNotFound) {
      EXPECT_THAT(error.hint, HasSubstr("hadal inspect")) << variant.why;
    }
  }
}

TEST(WeightSet, a_wrong_shape_reads_as_people_expect) {
  CheckpointBuilder builder = CheckpointBuilder::from(kRandomFp8);
  set_shape(builder, "layers.1.attn.wkv.weight", {144, 256});
  rename(builder, "layers.1.attn.wq_a", "layers.1.attn.wkv_a");
  const Loaded model(builder.files());
  // wq_a is missed first: it stands before wkv.
  const std::string text = WeightSet::bind(model.description, model.checkpoint).error().to_string();
  EXPECT_EQ(
      text,
      "error: weight is missing\n"
      "  in     embedded:test: \"layers.1.attn.wq_a.weight\"\n"
      "  want   [128, 256]   (q_lora_rank x hidden_size, from config.json)\n"
      "  found  no such tensor, and no \"layers.1.self_attn.q_a_proj.weight\" either\n"
      "  hint   this looks like a checkpoint of DeepSeek-V3; config.json says another. `hadal inspect DIR` shows both");
}

TEST(WeightSet, expert_scales_are_not_read) {
  CheckpointBuilder builder = CheckpointBuilder::from(kRandomFp8);
  builder.tensor("layers.0.ffn.experts.0.w1.scale").bytes[5] = '\xff';
  const Loaded model(builder.files());
  EXPECT_TRUE(WeightSet::bind(model.description, model.checkpoint).ok());
}

}  // namespace
}  // namespace hadal
