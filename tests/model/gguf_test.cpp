// GGUF end to end: a fixture converted and loaded again is the same model, in every family, type and mode.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/engine.h"
#include "engine/evaluation.h"
#include "engine/importance_collector.h"
#include "model/convert/convert.h"
#include "model/gguf/gguf_config.h"
#include "ops/linear/linear.h"
#include "testing/compare.h"
#include "testing/compared.h"
#include "testing/temp_folder.h"

namespace hadal {
namespace {

using test::TempFolder;
using ::testing::HasSubstr;

using Model = std::shared_ptr<const LoadedModel>;

Model load(const fs::path& path) {
  Result<ModelFiles> files = ModelFiles::open(path);
  EXPECT_TRUE(files.ok());
  Result<Model> model = LoadedModel::open(std::move(*files));
  EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().to_string());
  return model.ok() ? *model : nullptr;
}

fs::path fixture(const char* folder) {
  return fs::path(HADAL_SOURCE_DIR) / folder;
}

ConvertSource source_of(const LoadedModel& model) {
  return {.description = model.description,
          .weights = model.weights.weights(),
          .config = json::Value::object(),
          .tokenizer_json = std::nullopt,
          .chat_template = "",
          .name = "fixture"};
}

void convert(const LoadedModel& model, std::string_view type, const fs::path& path) {
  const Result<ConvertSummary> written = write_gguf(source_of(model), *find_type_mix(type), path, {});
  ASSERT_TRUE(written.ok()) << written.error().to_string();
}

class Collector final : public EngineObserver {
 public:
  void logits(SequenceId, int64_t position, std::span<const float> row) override {
    at[position].assign(row.begin(), row.end());
  }
  std::map<int64_t, std::vector<float>> at;
};

// Logits of every position of 150 tokens, in chunks of that many.
std::map<int64_t, std::vector<float>> logits(const Model& model, NumericMode mode, int64_t chunk = 512,
                                             int threads = 2) {
  std::mt19937 random(1);
  std::vector<int32_t> ids(150);
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<uint32_t>(model->description.vocab_size));
  Result<Engine> engine =
      Engine::create(model, {.mode = mode, .n_threads = threads, .context_tokens = 256, .chunk_tokens = chunk});
  EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().to_string());
  Result<SequenceId> id = engine->open();
  EXPECT_TRUE(id.ok());
  Collector collector;
  EXPECT_TRUE(engine->submit(*id, ids, LogitsWanted::kAll).ok());
  const Result<void> result = engine->run(collector);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().to_string());
  return std::move(collector.at);
}

class GgufModels : public ::testing::TestWithParam<const char*> {};

TEST_P(GgufModels, a_model_in_f32_has_the_logits_of_its_source) {
  const TempFolder folder;
  const Model source = load(fixture(GetParam()));
  convert(*source, "f32", folder / "m.gguf");
  const Model model = load(folder / "m.gguf");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->description.layers.size(), source->description.layers.size());
  const auto want = logits(source, NumericMode::kExact);
  const auto got = logits(model, NumericMode::kExact);
  ASSERT_EQ(want.size(), got.size());
  for (const auto& [position, row] : want) {
    // Every weight is exact in F32; the scales of FP8 meet the activations there and the weights here.
    ASSERT_TRUE(test::within(got.at(position), row, {.rtol = 2e-5, .atol = 2e-5})) << position;
  }
}

TEST_P(GgufModels, chunks_threads_and_single_tokens_give_the_same_bits_in_every_type) {
  const TempFolder folder;
  const Model source = load(fixture(GetParam()));
  for (const std::string type : {"q8_0", "q4_k_m", "mxfp4", "iq2_xxs"}) {
    convert(*source, type, folder / (type + ".gguf"));
    const Model model = load(folder / (type + ".gguf"));
    ASSERT_NE(model, nullptr);
    const auto whole = logits(model, NumericMode::kFast);
    for (const auto& [chunk, threads] : {std::pair{64, 1}, {1, 2}, {7, 3}}) {
      for (const auto& [position, row] : logits(model, NumericMode::kFast, chunk, threads))
        ASSERT_TRUE(test::same_bits(row, whole.at(position))) << type << " chunk " << chunk << " at " << position;
    }
  }
}

TEST_P(GgufModels, the_way_back_from_eight_bits_is_the_same_model) {
  const TempFolder folder;
  const Model source = load(fixture(GetParam()));
  convert(*source, "q8_0", folder / "m.gguf");
  const Model model = load(folder / "m.gguf");
  const auto exact = logits(model, NumericMode::kExact);

  ConvertSource back = source_of(*model);
  Result<json::Value> config = config_of_gguf(*model->checkpoint.gguf(), model->checkpoint.tensors(), "m.gguf");
  ASSERT_TRUE(config.ok());
  back.config = std::move(*config);
  const Result<ConvertSummary> written = write_safetensors(back, DType::kF32, folder / "back", {});
  ASSERT_TRUE(written.ok()) << written.error().to_string();
  const Model again = load(folder / "back");
  ASSERT_NE(again, nullptr);
  for (const auto& [position, row] : logits(again, NumericMode::kExact))
    ASSERT_TRUE(test::same_bits(row, exact.at(position))) << position;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GgufModels,
                         ::testing::Values("tests/data/v4-random", "tests/data/v4-random-fp8", "tests/data/v3-random",
                                           "tests/data/v3-random-fp8", "tests/data/v32-random", "models/v4-tiny"),
                         [](const auto& test) {
                           std::string name = fs::path(test.param).filename().string();
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

struct GoldenFixture {
  const char* model;
  const char* goldens;
};

class GgufGoldens : public ::testing::TestWithParam<GoldenFixture> {};

TEST_P(GgufGoldens, hold_for_a_model_in_f32) {
  const TempFolder folder;
  const Model source = load(fixture(GetParam().model));
  convert(*source, "f32", folder / "m.gguf");
  const CompareReport report =
      test::compared(load(folder / "m.gguf"), fixture(GetParam().goldens), {.mode = NumericMode::kExact});
  EXPECT_TRUE(report.pass);
  EXPECT_TRUE(report.greedy_equal);
  for (const CompareRow& row : report.rows) EXPECT_TRUE(row.pass) << row.prompt << " " << row.what << row.note;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GgufGoldens,
                         ::testing::Values(GoldenFixture{"tests/data/v4-random", "tests/data/v4-random"},
                                           GoldenFixture{"tests/data/v4-random-fp8", "tests/data/v4-random-fp8"},
                                           GoldenFixture{"tests/data/v3-random", "tests/data/v3-random"},
                                           GoldenFixture{"tests/data/v3-random-fp8", "tests/data/v3-random-fp8"},
                                           GoldenFixture{"tests/data/v32-random", "tests/data/v32-random"},
                                           GoldenFixture{"models/v4-tiny", "tests/data/v4-tiny"}),
                         [](const auto& test) {
                           std::string name = fs::path(test.param.model).filename().string();
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Convert, eight_bits_stay_near_the_trained_model) {
  const TempFolder folder;
  convert(*load(fixture("models/v4-tiny")), "q8_0", folder / "m.gguf");
  const Model model = load(folder / "m.gguf");
  // Design, "Numbers": the bound of fast against exact, for the rounding of weights and that of activations.
  EXPECT_LE(test::compared(model, fixture("tests/data/v4-tiny"), {.mode = NumericMode::kExact}).kl_mean, 2e-3);
  EXPECT_LE(test::compared(model, fixture("tests/data/v4-tiny"), {.mode = NumericMode::kFast}).kl_mean, 4e-3);
}

// What a text uses weighs more: the model comes nearer to its source on it, and every matrix was met.
TEST(Convert, importance_brings_two_bits_nearer_to_the_model) {
  const TempFolder folder;
  const Model source = load(fixture("models/v4-tiny"));
  const std::string text = read_file(fixture("tests/data/v4-tiny/heldout.txt"), 1 << 20).value();
  const std::vector<std::string_view> documents = split_documents(text, 4);
  ImportanceCollector collector;
  Result<Engine> engine = Engine::create(source, {.inputs = &collector});
  ASSERT_TRUE(engine.ok());
  ASSERT_TRUE(evaluate(*engine, nullptr, documents, [](int64_t, int64_t) {}).ok());
  const ImportanceMatrix importance = collector.matrix(source->description, source->weights.weights());
  const ConvertSource plain = source_of(*source);
  ConvertSource weighed = source_of(*source);
  weighed.importance = &importance;
  ASSERT_TRUE(write_gguf(plain, *find_type_mix("q2_k"), folder / "plain.gguf", {}).ok());
  const Result<ConvertSummary> written = write_gguf(weighed, *find_type_mix("q2_k"), folder / "weighed.gguf", {});
  ASSERT_TRUE(written.ok()) << written.error().to_string();
  EXPECT_GT(written->n_weighed, 0u);

  Result<Engine> exact = Engine::create(source, {.mode = NumericMode::kExact});
  ASSERT_TRUE(exact.ok());
  // KL of the source from it: only the source has a tokenizer here.
  const auto kl = [&](const char* name) {
    Result<Engine> quantised = Engine::create(load(folder / name), {.mode = NumericMode::kExact});
    EXPECT_TRUE(quantised.ok());
    const Result<Evaluation> result = evaluate(*exact, &*quantised, documents, [](int64_t, int64_t) {});
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().to_string());
    return result.ok() ? result->divergence->kl_mean() : 0;
  };
  EXPECT_LT(kl("weighed.gguf"), kl("plain.gguf"));
}

TEST(Convert, fp4_experts_are_exact_in_mxfp4) {
  const TempFolder folder;
  const Model source = load(fixture("models/v4-tiny"));
  convert(*source, "mxfp4", folder / "m.gguf");
  const Model model = load(folder / "m.gguf");
  for (size_t l = 0; l < source->description.layers.size(); ++l) {
    const Weight& want = source->weights.weights().layers[l].experts[3].w2;
    const Weight& got = model->weights.weights().layers[l].experts[3].w2;
    ASSERT_EQ(got.dtype, DType::kMXFP4);
    for (int64_t row = 0; row < want.rows; row += 17) {
      for (int64_t col = 0; col < want.cols; ++col)
        ASSERT_EQ(ops::weight_at(got, row, col), ops::weight_at(want, row, col)) << l;
    }
  }
}

TEST(Convert, a_model_that_gguf_has_no_names_for_goes_to_safetensors_only) {
  const TempFolder folder;
  const Model source = load(fixture("tests/data/v41-random"));
  const Result<ConvertSummary> gguf = write_gguf(source_of(*source), *find_type_mix("q8_0"), folder / "m.gguf", {});
  ASSERT_FALSE(gguf.ok());
  EXPECT_EQ(gguf.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(gguf.error().found, "deepseek_v41");
  ConvertSource plain = source_of(*source);
  const std::string config = read_file(fixture("tests/data/v41-random/config.json"), 1 << 20).value();
  plain.config = json::parse(config, "config.json").value();
  const Result<ConvertSummary> written = write_safetensors(plain, DType::kF32, folder / "plain", {});
  ASSERT_TRUE(written.ok()) << written.error().to_string();
  const Model again = load(folder / "plain");
  ASSERT_NE(again, nullptr);
  const auto want = logits(source, NumericMode::kExact);
  for (const auto& [position, row] : logits(again, NumericMode::kExact))
    ASSERT_TRUE(test::within(row, want.at(position), {.rtol = 2e-5, .atol = 2e-5})) << position;
}

TEST(Convert, the_prompt_encoding_goes_there_and_back) {
  const TempFolder folder;
  const Model v3 = load(fixture("tests/data/v3-random"));
  ConvertSource source = source_of(*v3);
  source.chat_template = "{{'<｜Assistant｜></think>'}}";
  ASSERT_TRUE(write_gguf(source, *find_type_mix("bf16"), folder / "m.gguf", {}).ok());
  EXPECT_EQ(v3->prompt_encoding, PromptEncoding::kV3);
  EXPECT_EQ(load(folder / "m.gguf")->prompt_encoding, PromptEncoding::kV31);
  ASSERT_TRUE(write_safetensors(source, DType::kBF16, folder / "back", {}).ok());
  EXPECT_EQ(read_file(folder / "back/chat_template.jinja", 1 << 10).value(), source.chat_template);
}

TEST(Convert, a_conversion_that_is_stopped_leaves_nothing) {
  const Model source = load(fixture("tests/data/v4-random"));
  const TempFolder folder;
  uint64_t calls = 0;
  const ConvertProgress stop = [&](uint64_t done, uint64_t of) {
    EXPECT_LE(done, of);
    return ++calls < 20;
  };
  const Result<ConvertSummary> gguf = write_gguf(source_of(*source), *find_type_mix("q8_0"), folder / "m.gguf", stop);
  ASSERT_FALSE(gguf.ok());
  EXPECT_EQ(gguf.error().code, ErrorCode::kCancelled);
  calls = 0;
  const Result<ConvertSummary> plain = write_safetensors(source_of(*source), DType::kBF16, folder / "out", stop);
  ASSERT_FALSE(plain.ok());
  EXPECT_EQ(plain.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(folder.n_files(), 0u);
}

TEST(Convert, every_mix_has_a_name_and_fits_short_rows) {
  for (const TypeMix& mix : type_mixes()) {
    EXPECT_EQ(find_type_mix(mix.name), &mix);
    for (const MatrixRole role :
         {MatrixRole::kExpertIn, MatrixRole::kExpertOut, MatrixRole::kDense, MatrixRole::kEmbedding, MatrixRole::kHead,
          MatrixRole::kSmall, MatrixRole::kExact, MatrixRole::kLatent}) {
      for (const int64_t cols : {256, 128, 32, 24})
        EXPECT_EQ(cols % dtype_block(type_of(mix, role, cols)).values, 0) << mix.name << " " << cols;
    }
    EXPECT_EQ(type_of(mix, MatrixRole::kExact, 256), DType::kF32);
  }
  EXPECT_EQ(find_type_mix("q9"), nullptr);
}

TEST(Gguf, a_model_whose_tensors_do_not_fit_its_metadata_is_refused) {
  const TempFolder folder;
  const Model source = load(fixture("tests/data/v4-random"));
  convert(*source, "q8_0", folder / "m.gguf");
  // A tensor under another name is one too few and one too many.
  std::string bytes = read_file(folder / "m.gguf", 1 << 26).value();
  const size_t at = bytes.find("blk.1.attn_kv.weight");
  ASSERT_NE(at, std::string::npos);
  bytes[at + 4] = '9';
  folder.write("bad.gguf", bytes);
  Result<ModelFiles> files = ModelFiles::open(folder / "bad.gguf");
  const Result<Model> model = LoadedModel::open(std::move(*files));
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(model.error().in, HasSubstr("blk.1.attn_kv.weight"));
  EXPECT_THAT(model.error().want, HasSubstr("from the metadata"));
}

}  // namespace
}  // namespace hadal
