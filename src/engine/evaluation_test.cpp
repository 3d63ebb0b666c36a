#include "engine/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/io.h"
#include "engine/logits.h"

namespace hadal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const fs::path kTiny = fs::path(HADAL_SOURCE_DIR) / "models/v4-tiny";
const fs::path kRandom = fs::path(HADAL_SOURCE_DIR) / "tests/data/v4-random";

std::shared_ptr<const LoadedModel> load(const fs::path& folder) {
  Result<ModelFiles> files = ModelFiles::open(folder);
  EXPECT_TRUE(files.ok());
  Result<std::shared_ptr<const LoadedModel>> model = LoadedModel::open(std::move(*files));
  EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().to_string());
  return *model;
}

Engine make_engine(const std::shared_ptr<const LoadedModel>& model, int64_t context_tokens,
                   NumericMode mode = NumericMode::kFast) {
  Result<Engine> engine = Engine::create(model, {.mode = mode,
                                                 .n_threads = 1,
                                                 .cpu_level = {},
                                                 .context_tokens = context_tokens,
                                                 .chunk_tokens = 16,
                                                 .state = {}});
  EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().to_string());
  return std::move(*engine);
}

void ignore_progress(int64_t, int64_t) {}

constexpr std::string_view kText = "The quick brown fox jumps over the lazy dog, and then it sleeps in the shade.";

TEST(Evaluation, documents_are_cut_at_nul_bytes) {
  using std::string_view_literals::operator""sv;
  EXPECT_THAT(split_documents("one\0two\0three"sv, 0), ElementsAre("one", "two", "three"));
  EXPECT_THAT(split_documents("one\0two\0three"sv, 2), ElementsAre("one", "two"));
  EXPECT_THAT(split_documents("a text without the byte"sv, 0), ElementsAre("a text without the byte"));
}

TEST(Evaluation, empty_documents_are_left_out) {
  using std::string_view_literals::operator""sv;
  EXPECT_THAT(split_documents("\0\0one\0\0two\0"sv, 0), ElementsAre("one", "two"));
  EXPECT_THAT(split_documents(""sv, 0), IsEmpty());
}

TEST(Evaluation, every_token_behind_bos_is_scored_once) {
  const auto model = load(kTiny);
  Engine engine = make_engine(model, 128);
  int64_t last_done = 0;
  int64_t last_of = 0;
  const Result<Evaluation> evaluation = evaluate(engine, nullptr, {kText, kText}, [&](int64_t done, int64_t of) {
    EXPECT_GE(done, last_done);
    last_done = done;
    last_of = of;
  });
  ASSERT_TRUE(evaluation.ok()) << evaluation.error().to_string();
  const auto n = static_cast<int64_t>(model->tokenizer->encode(kText, AddedTokens::kAsText).size());
  EXPECT_EQ(evaluation->tokens(), 2 * n);
  EXPECT_EQ(last_of, 2 * n);
  EXPECT_EQ(last_done, 2 * n);
  EXPECT_EQ(evaluation->bytes(), static_cast<int64_t>(2 * kText.size()));
  EXPECT_EQ(evaluation->documents[0].nll_sum, evaluation->documents[1].nll_sum) << "the same bits twice";
  EXPECT_DOUBLE_EQ(evaluation->perplexity(), std::exp(evaluation->nll()));
  EXPECT_NEAR(evaluation->bits_per_byte() * static_cast<double>(kText.size()) * std::log(2.0),
              evaluation->documents[0].nll_sum, 1e-9);
}

// Scores ids[1..] by hand.
double nll_of(Engine& engine, const std::vector<int32_t>& ids) {
  struct Sum final : EngineObserver {
    explicit Sum(const std::vector<int32_t>& all) : ids(all) {}
    void logits(SequenceId, int64_t position, std::span<const float> logits) override {
      const auto next = static_cast<size_t>(position) + 1;
      if (next < ids.size()) nll -= LogSoftmax(logits)(logits[static_cast<size_t>(ids[next])]);
    }
    const std::vector<int32_t>& ids;
    double nll = 0;
  } sum(ids);
  const Result<SequenceId> id = engine.open();
  EXPECT_TRUE(id.ok() && engine.submit(*id, ids, LogitsWanted::kAll).ok() && engine.run(sum).ok());
  return sum.nll;
}

TEST(Evaluation, a_document_longer_than_the_context_goes_on_behind_another_bos) {
  const auto model = load(kTiny);
  const std::vector<TokenId> ids = model->tokenizer->encode(kText, AddedTokens::kAsText);
  constexpr int64_t kContext = 16;
  ASSERT_GT(ids.size(), static_cast<size_t>(kContext));
  Engine engine = make_engine(model, kContext);
  double want = 0;
  for (size_t begin = 0; begin < ids.size(); begin += kContext - 1) {
    const size_t end = std::min(ids.size(), begin + kContext - 1);
    std::vector<int32_t> piece = {model->description.bos_token_id};
    for (size_t i = begin; i < end; ++i) piece.push_back(ids[i]);
    want += nll_of(engine, piece);
  }
  const Result<Evaluation> evaluation = evaluate(engine, nullptr, {kText}, ignore_progress);
  ASSERT_TRUE(evaluation.ok()) << evaluation.error().to_string();
  EXPECT_EQ(evaluation->tokens(), static_cast<int64_t>(ids.size()));
  EXPECT_DOUBLE_EQ(evaluation->documents[0].nll_sum, want);
}

TEST(Evaluation, a_model_does_not_diverge_from_itself) {
  const auto model = load(kTiny);
  Engine engine = make_engine(model, 128);
  Engine reference = make_engine(model, 128);
  const Result<Evaluation> evaluation = evaluate(engine, &reference, {kText}, ignore_progress);
  ASSERT_TRUE(evaluation.ok()) << evaluation.error().to_string();
  ASSERT_TRUE(evaluation->divergence.has_value());
  EXPECT_EQ(evaluation->divergence->tokens, evaluation->tokens());
  EXPECT_EQ(evaluation->divergence->kl_max, 0);
  EXPECT_EQ(evaluation->divergence->greedy_equal_share(), 1);
  EXPECT_DOUBLE_EQ(evaluation->divergence->reference_nll_sum, evaluation->documents[0].nll_sum);
}

// Over text, not over a sentence: a token whose experts change weighs a hundred times as much as one whose do not.
TEST(Evaluation, fast_mode_stays_near_exact_mode_over_held_out_text) {
  const Result<std::string> held_out =
      read_file(fs::path(HADAL_SOURCE_DIR) / "tests/data/v4-tiny/heldout.txt", 1 << 20);
  ASSERT_TRUE(held_out.ok());
  const std::vector<std::string_view> documents = split_documents(*held_out, 2);
  const auto model = load(kTiny);
  Engine engine = make_engine(model, 1024);
  Engine reference = make_engine(model, 1024, NumericMode::kExact);
  const Result<Evaluation> evaluation = evaluate(engine, &reference, documents, ignore_progress);
  ASSERT_TRUE(evaluation.ok()) << evaluation.error().to_string();
  EXPECT_GT(evaluation->tokens(), 1000);
  EXPECT_GT(evaluation->divergence->kl_mean(), 0);
  EXPECT_LE(evaluation->divergence->kl_mean(), 2e-3) << "what fast mode promises";
}

TEST(Evaluation, scoring_with_a_reference_changes_no_score) {
  const auto model = load(kTiny);
  Engine engine = make_engine(model, 128);
  Engine reference = make_engine(model, 128, NumericMode::kExact);
  const Result<Evaluation> alone = evaluate(engine, nullptr, {kText}, ignore_progress);
  const Result<Evaluation> against = evaluate(engine, &reference, {kText}, ignore_progress);
  ASSERT_TRUE(alone.ok() && against.ok());
  EXPECT_EQ(alone->documents[0].nll_sum, against->documents[0].nll_sum);
}

TEST(Evaluation, a_model_without_a_tokenizer_is_refused) {
  Engine engine = make_engine(load(kRandom), 64);
  const Result<Evaluation> evaluation = evaluate(engine, nullptr, {kText}, ignore_progress);
  ASSERT_FALSE(evaluation.ok());
  EXPECT_EQ(evaluation.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(evaluation.error().want, "tokenizer.json beside the weights");
}

TEST(Evaluation, a_reference_with_another_vocabulary_is_refused) {
  Engine engine = make_engine(load(kTiny), 64);
  Engine reference = make_engine(load(kRandom), 64);
  const Result<Evaluation> evaluation = evaluate(engine, &reference, {kText}, ignore_progress);
  ASSERT_FALSE(evaluation.ok());
  EXPECT_EQ(evaluation.error().code, ErrorCode::kInvalid);
}

TEST(Evaluation, a_context_of_one_token_is_refused) {
  Engine engine = make_engine(load(kTiny), 1);
  const Result<Evaluation> evaluation = evaluate(engine, nullptr, {kText}, ignore_progress);
  ASSERT_FALSE(evaluation.ok());
  EXPECT_EQ(evaluation.error().code, ErrorCode::kLimit);
}

TEST(Logits, probabilities_sum_to_one_and_equals_choose_the_lowest_id) {
  const std::vector<float> logits = {1, 3, 3, -100, 2};
  const LogSoftmax p(logits);
  double sum = 0;
  for (const float v : logits) sum += std::exp(p(v));
  EXPECT_NEAR(sum, 1, 1e-15);
  EXPECT_EQ(argmax(logits), 1);
}

TEST(Logits, kl_is_zero_for_equals_and_positive_otherwise) {
  const std::vector<float> p = {0, 1, 2};
  const std::vector<float> shifted = {5, 6, 7};
  const std::vector<float> q = {2, 1, 0};
  EXPECT_NEAR(kl_divergence(p, shifted), 0, 1e-15);
  EXPECT_GT(kl_divergence(p, q), 0.5);
}

}  // namespace
}  // namespace hadal
