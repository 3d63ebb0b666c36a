#include "model/synth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <map>

#include "formats/checkpoint.h"
#include "model/geometry.h"
#include "model/weight_set.h"
#include "testing/checkpoint_builder.h"
#include "testing/temp_folder.h"

namespace hadal {
namespace {

using test::must;
using test::TempFolder;
using ::testing::HasSubstr;

SynthPlan planned(std::string geometry, int64_t layers = 0, bool has_draft = true) {
  SynthOptions options;
  options.geometry = std::move(geometry);
  options.layers = layers;
  options.has_draft = has_draft;
  return must(plan_synth(options));
}

TEST(Synth, v3_has_the_published_names_sizes_and_types) {
  const SynthPlan plan = planned("v3");
  std::map<std::string, TensorToWrite> tensors;
  uint64_t matrix_numbers = 0;
  for (const SynthPlan::Shard& shard : plan.shards) {
    for (const ProceduralTensor& tensor : shard.tensors) {
      tensors.emplace(tensor.stored.name, tensor.stored);
      if (!tensor.stored.name.ends_with("_scale_inv") && tensor.stored.name.find("layers.61.") == std::string::npos) {
        uint64_t numbers = 1;
        for (const int64_t size : tensor.stored.shape) numbers *= static_cast<uint64_t>(size);
        matrix_numbers += numbers;
      }
    }
  }
  // deepseek-v3.md, section 1: parameters of the main model, computed from the shapes (with the routers' biases).
  EXPECT_EQ(matrix_numbers, 671'026'419'200u);
  const auto is = [&](const char* name, DType dtype, std::vector<int64_t> shape) {
    ASSERT_TRUE(tensors.contains(name)) << name;
    EXPECT_EQ(tensors.at(name).dtype, dtype) << name;
    EXPECT_EQ(tensors.at(name).shape, shape) << name;
  };
  is("model.embed_tokens.weight", DType::kBF16, {129280, 7168});
  is("lm_head.weight", DType::kBF16, {129280, 7168});
  is("model.layers.0.mlp.gate_proj.weight", DType::kF8E4M3, {18432, 7168});
  is("model.layers.3.self_attn.q_a_layernorm.weight", DType::kBF16, {1536});
  is("model.layers.3.self_attn.kv_a_proj_with_mqa.weight", DType::kF8E4M3, {576, 7168});
  is("model.layers.3.self_attn.kv_a_proj_with_mqa.weight_scale_inv", DType::kF32, {5, 56});
  is("model.layers.60.mlp.experts.255.down_proj.weight", DType::kF8E4M3, {7168, 2048});
  is("model.layers.60.mlp.gate.e_score_correction_bias", DType::kF32, {256});
  is("model.layers.61.eh_proj.weight", DType::kBF16, {7168, 14336});
  is("model.layers.61.shared_head.norm.weight", DType::kBF16, {7168});
  EXPECT_FALSE(tensors.contains("model.layers.61.embed_tokens.weight"));
}

TEST(Synth, v3_2_adds_the_indexer) {
  const SynthPlan plan = planned("v3.2", 4, false);
  EXPECT_EQ(plan.description.layers[0].attention, AttentionKind::kDsa);
  EXPECT_EQ(plan.description.layers[3].ffn, FfnKind::kMoe);
  EXPECT_EQ(plan.description.activation_scale, ActivationScale::kPowerOfTwo);
  bool has_bias = false;
  for (const SynthPlan::Shard& shard : plan.shards) {
    for (const ProceduralTensor& tensor : shard.tensors) {
      has_bias = has_bias || tensor.stored.name == "model.layers.3.self_attn.indexer.k_norm.bias";
    }
  }
  EXPECT_TRUE(has_bias);
}

TEST(Synth, fewer_experts_fit_a_smaller_machine) {
  SynthOptions options;
  options.geometry = "v3.2";
  options.layers = 4;
  options.has_draft = false;
  options.experts = 128;
  const SynthPlan plan = must(plan_synth(options));
  EXPECT_EQ(plan.description.n_routed_experts, 128);
  EXPECT_LT(plan.tensor_bytes, uint64_t{11} << 30);
  for (const int64_t wrong : {-1, 257, 4, 100}) {
    options.experts = wrong;
    EXPECT_FALSE(plan_synth(options).ok()) << wrong;
  }
  options.experts = 257;
  EXPECT_EQ(plan_synth(options).error().in, "--experts");
}

// Check value of the procedural checkpoint's definition.
TEST(Procedural, words_are_those_of_the_definition) {
  const uint64_t hash = fnv1a_64("layers.3.ffn.experts.7.w1.weight");
  EXPECT_EQ(hash, 0x6c49819061e96008u);
  EXPECT_EQ(procedural_word(hash, 0), 0x381c8a71685a7ed8u);
  EXPECT_EQ(procedural_word(hash, 1), 0x6ce6235a99e3b002u);
  EXPECT_EQ(procedural_word(hash, 2), 0x8240bab0301add7fu);
}

// All tensors of a small geometry: some of each recipe and format.
std::vector<ProceduralTensor> all_tensors() {
  std::vector<ProceduralTensor> tensors;
  for (const SynthPlan::Shard& shard : planned("v4-tiny").shards) {
    tensors.insert(tensors.end(), shard.tensors.begin(), shard.tensors.end());
  }
  return tensors;
}

TEST(Procedural, any_cutting_at_words_gives_the_same_bytes) {
  for (const ProceduralTensor& tensor : all_tensors()) {
    if (tensor.stored.name.find("experts.1") != std::string::npos) continue;  // like experts.0
    std::vector<std::byte> whole(tensor.stored.bytes());
    fill_procedural(tensor, 0, whole);
    std::vector<std::byte> cut(whole.size());
    for (size_t begin = 0, size = 8; begin < cut.size(); begin += size, size = (size * 3) % 4096 / 8 * 8 + 8) {
      fill_procedural(tensor, begin, std::span(cut).subspan(begin, std::min(size, cut.size() - begin)));
    }
    EXPECT_EQ(cut, whole) << tensor.stored.name;
  }
}

// Root mean square of a row times a random vector of unit variance = length of the row.
double mean_row_length(const Weight& w) {
  double sum = 0;
  for (int64_t i = 0; i < w.rows; ++i) {
    for (int64_t j = 0; j < w.cols; ++j) {
      double v = 0;
      if (w.dtype == DType::kF4E2M1) {
        const auto byte = static_cast<uint8_t>(w.data[i * w.cols / 2 + j / 2]);
        v = e2m1_to_f32(j % 2 == 0 ? byte & 15 : byte >> 4);
      } else if (w.dtype == DType::kF8E4M3) {
        v = e4m3_to_f32(static_cast<uint8_t>(w.data[i * w.cols + j]));
      } else {
        uint16_t code = 0;
        std::memcpy(&code, w.data + 2 * (i * w.cols + j), 2);
        v = bf16_to_f32(code);
      }
      if (w.scale != nullptr) {
        v *= e8m0_to_f32(static_cast<uint8_t>(w.scale[i / w.scale_rows * w.scale_stride() + j / w.scale_cols]));
      }
      sum += v * v;
    }
  }
  return std::sqrt(sum / static_cast<double>(w.rows));
}

TEST(Synth, a_written_checkpoint_opens_binds_and_has_weights_of_unit_gain) {
  const TempFolder folder;
  SynthOptions options;
  options.geometry = "v4-tiny";
  options.shard_bytes_max = 5 << 20;
  const SynthPlan plan = must(plan_synth(options));
  EXPECT_GT(plan.shards.size(), 4u);
  uint64_t last = 0;
  const Result<void> written = write_synth(plan, folder / "out", [&](uint64_t done, uint64_t of) {
    EXPECT_GT(done, last);
    EXPECT_EQ(of, plan.tensor_bytes);
    last = done;
    return true;
  });
  ASSERT_TRUE(written.ok()) << written.error().to_string();
  EXPECT_EQ(last, plan.tensor_bytes);

  ModelFiles files = must(ModelFiles::open(folder / "out"));
  EXPECT_EQ(files.names().size(), plan.shards.size() + 3);
  const Checkpoint checkpoint = must(Checkpoint::open(files));
  EXPECT_EQ(checkpoint.tensor_bytes(), plan.tensor_bytes);
  const ModelDescription description = must(
      parse_model_config(must(json::parse(must(files.text("config.json", 1 << 20)), "config.json")), "config.json"));
  for (const StoredTensor& tensor : checkpoint.tensors()) {
    EXPECT_EQ(tensor.file_offset % static_cast<uint64_t>(dtype_bits(tensor.dtype) / 8), 0u) << tensor.name;
  }
  const WeightSet set = must(WeightSet::bind(description, checkpoint));
  EXPECT_TRUE(set.has_mtp());

  const LayerWeights& layer = set.weights().layers[2];
  for (const Weight* w : {&layer.wq_a, &layer.wq_b, &layer.wo_b, &layer.gate, &layer.compressor.wkv,
                          &layer.experts[3].w1, &layer.experts[3].w2, &layer.shared.w2, &set.weights().head}) {
    EXPECT_GT(mean_row_length(*w), 0.7);
    EXPECT_LT(mean_row_length(*w), 1.42);
  }
  EXPECT_EQ(layer.attn_norm[5], 1.0f);
  EXPECT_EQ(layer.attn_hc.scale[2], 1.0f);
  EXPECT_EQ(layer.attn_sink[0], 0.0f);
  EXPECT_EQ(layer.attn_hc.base[7], 0.0f);
  EXPECT_EQ(layer.attn_hc.base[8], 4.0f);
  EXPECT_EQ(layer.attn_hc.base[9], 0.0f);
  EXPECT_EQ(layer.attn_hc.base[8 + 5], 4.0f);
}

TEST(Synth, the_published_sizes_come_out) {
  const SynthPlan flash = planned("v4-flash");
  EXPECT_EQ(flash.tensor_bytes, 159'609'485'896u);
  EXPECT_EQ(planned("v4-flash", 0, false).tensor_bytes, 156'015'698'140u);
  EXPECT_EQ(planned("v4-pro").tensor_bytes, 864'704'792'696u);
  for (const SynthPlan::Shard& shard : flash.shards) EXPECT_LE(shard.tensor_bytes, uint64_t{4} << 30);
}

TEST(Synth, four_layers_of_flash_have_all_three_kinds) {
  const SynthPlan plan = planned("v4-flash", 4);
  ASSERT_EQ(plan.description.layers.size(), 4u);
  EXPECT_EQ(plan.description.layers[1].attention, AttentionKind::kWindow);
  EXPECT_EQ(plan.description.layers[2].attention, AttentionKind::kCsa);
  EXPECT_EQ(plan.description.layers[3].attention, AttentionKind::kHca);
  EXPECT_EQ(plan.description.layers[2].router, RouterKind::kHash);
  EXPECT_EQ(plan.description.layers[3].router, RouterKind::kScore);
  EXPECT_EQ(plan.description.mtp_layers.size(), 1u);
}

// The published inventories: 298.3 GB without Engram's tables and projections, 202.8 GB of tables.
TEST(Synth, v4_1_flash_has_the_bytes_of_the_release_but_for_drafts_and_vision) {
  const SynthPlan plan = planned("v4.1-flash");
  uint64_t table_bytes = 0;
  uint64_t engram_bytes = 0;
  for (const SynthPlan::Shard& shard : plan.shards) {
    for (const ProceduralTensor& tensor : shard.tensors) {
      if (tensor.stored.name.find(".engram.embed.") != std::string::npos) table_bytes += tensor.stored.bytes();
      if (tensor.stored.name.find(".engram.") != std::string::npos) engram_bytes += tensor.stored.bytes();
    }
  }
  EXPECT_EQ(table_bytes, uint64_t{264} * (384006168 + 384016682));
  EXPECT_NEAR(static_cast<double>(plan.tensor_bytes - engram_bytes), 298.3e9, 0.05e9);
  EXPECT_EQ(plan.description.layers[39].chosen_layer, 36);
  // The first layers alone are a model, too.
  for (const int64_t layers : {1, 2, 3, 15, 21, 25}) {
    EXPECT_EQ(planned("v4.1-flash", layers).description.layers.size(), static_cast<size_t>(layers));
  }
}

// building-blocks.md, section 11: parts of the announced system, computed from its shapes.
TEST(Synth, seed_has_the_parameters_and_the_bytes_of_its_table) {
  const SynthPlan plan = planned("seed");
  double experts = 0, tables = 0, all = 0;
  for (const ExpectedTensor& tensor : expected_tensors(plan.description)) {
    double numbers = 1;
    for (const int64_t size : tensor.shape) numbers *= static_cast<double>(size);
    all += numbers;
    if (tensor.kind == ExpectedTensor::Kind::kExpertMatrix) experts += numbers;
    if (tensor.kind == ExpectedTensor::Kind::kEngramTable) tables += numbers;
  }
  EXPECT_NEAR(experts, 875.17e9, 0.005e9);
  EXPECT_EQ(tables, 256.0 * (192003420 + 192012468));
  EXPECT_NEAR(all - tables, 886.09e9, 0.005e9);
  EXPECT_NEAR(all, 984.40e9, 0.005e9);
  // 8 of 256 experts, without the input table and the n-gram tables: what a token computes with.
  EXPECT_NEAR(all - tables - experts * 248 / 256 - 129280.0 * 6144, 37.48e9, 0.005e9);
  EXPECT_NEAR(static_cast<double>(plan.tensor_bytes), 577e9, 3e9);
  for (const int64_t layers : {1, 2, 16}) {
    EXPECT_EQ(planned("seed", layers).description.layers.size(), static_cast<size_t>(layers));
  }
}

TEST(Synth, smaller_n_gram_tables_fit_a_smaller_disk) {
  SynthOptions options{.geometry = "seed", .layers = 2, .experts = 16, .engram_vocab = 1000};
  const SynthPlan plan = must(plan_synth(options));
  // 24 primes from 1009 on.
  EXPECT_EQ(plan.description.engram_vocab_size, 1000);
  EXPECT_EQ(plan.description.layers[1].engram_rows, 25874);
  EXPECT_LT(plan.tensor_bytes, uint64_t{5} << 30);
  for (const int64_t wrong : {int64_t{-1}, int64_t{1}, int64_t{8000001}}) {
    options.engram_vocab = wrong;
    const Result<SynthPlan> refused = plan_synth(options);
    ASSERT_FALSE(refused.ok()) << wrong;
    EXPECT_EQ(refused.error().in, "--engram-vocab");
    EXPECT_EQ(refused.error().want, "2 to 8000000");
  }
  EXPECT_EQ(plan_synth({.geometry = "v3", .engram_vocab = 1000}).error().want, "nothing: it has no tables");
  EXPECT_EQ(
      must(plan_synth({.geometry = "v4.1-flash", .layers = 2, .engram_vocab = 1000})).description.layers[1].engram_rows,
      25874);
}

TEST(Synth, the_shipped_geometry_is_the_shipped_models) {
  const fs::path file = fs::path(HADAL_SOURCE_DIR) / "models/v4-tiny/config.json";
  const json::Value shipped = must(json::parse(must(read_file(file, 1 << 20)), "config.json"));
  EXPECT_EQ(description_identity(planned("v4-tiny").description),
            description_identity(must(parse_model_config(shipped, "config.json"))));
}

TEST(Synth, unknown_geometries_and_layers_are_refused) {
  const Result<SynthPlan> unknown = plan_synth({.geometry = "v9"});
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(unknown.error().want, HasSubstr("v4-flash, v4-pro, v4-tiny"));
  for (const int64_t layers : {-1, 44}) {
    const Result<SynthPlan> many = plan_synth({.geometry = "v4-flash", .layers = layers});
    ASSERT_FALSE(many.ok());
    EXPECT_EQ(many.error().want, "1 to 43");
  }
}

TEST(Synth, a_folder_in_use_is_left_alone) {
  const TempFolder folder;
  folder.write("mine", "x");
  const Result<void> written = write_synth(planned("v4-tiny", 1), folder.path(), {});
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(folder.n_files(), 1u);
}

TEST(Synth, what_is_cancelled_leaves_nothing) {
  const TempFolder folder;
  const Result<void> written =
      write_synth(planned("v4-tiny"), folder / "out", [](uint64_t, uint64_t) { return false; });
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(folder.n_files(), 0u);
}

TEST(Synth, a_disk_too_small_is_refused_before_anything_is_written) {
  const TempFolder folder;
  SynthPlan plan = planned("v4-tiny", 1);
  plan.tensor_bytes = uint64_t{1} << 60;
  const Result<void> written = write_synth(plan, folder / "out", {});
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, ErrorCode::kIo);
  EXPECT_THAT(written.error().want, HasSubstr("PiB"));
  EXPECT_THAT(written.error().found, HasSubstr("free"));
  EXPECT_EQ(folder.n_files(), 0u);
}

}  // namespace
}  // namespace hadal
