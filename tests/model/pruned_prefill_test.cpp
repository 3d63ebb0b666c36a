// A prompt whose last logits alone are wanted: a layer computes only the rows that somebody asks for, and the bits are
// those of the whole (equalities_test.cpp holds that for all models; here is what was left out).

#include <gtest/gtest.h>

#include <map>

#include "engine/engine.h"
#include "testing/compare.h"

namespace hadal {
namespace {

class Counter final : public EngineObserver {
 public:
  explicit Counter(int64_t n_experts_per_token) : n_experts_per_token_(n_experts_per_token) {}

  void logits(SequenceId, int64_t position, std::span<const float> logits) override {
    at[position].assign(logits.begin(), logits.end());
  }
  bool wants_experts() const override { return true; }
  void experts(SequenceId, size_t layer, std::span<const int32_t> experts) override {
    rows[layer] += static_cast<int64_t>(experts.size()) / n_experts_per_token_;
  }

  std::map<int64_t, std::vector<float>> at;
  std::map<size_t, int64_t> rows;  // computed ones, by layer

 private:
  int64_t n_experts_per_token_;
};

// Two page borders, so that the prompt is one step.
constexpr int64_t kTokens = 256;

Counter prefilled(const char* folder, NumericMode mode, LogitsWanted wanted) {
  Result<ModelFiles> files = ModelFiles::open(fs::path(HADAL_SOURCE_DIR) / folder);
  EXPECT_TRUE(files.ok());
  Result<std::shared_ptr<const LoadedModel>> model = LoadedModel::open(std::move(*files));
  EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().to_string());
  Counter counter((*model)->description.n_experts_per_token);
  Result<Engine> engine = Engine::create(*model, {.mode = mode, .n_threads = 2, .context_tokens = 512});
  EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().to_string());
  const Result<SequenceId> id = engine->open();
  EXPECT_TRUE(id.ok());
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < kTokens; ++i) ids.push_back(static_cast<int32_t>(i * i % 389));
  EXPECT_TRUE(engine->submit(*id, ids, wanted).ok());
  EXPECT_TRUE(engine->run(counter).ok());
  // What the prompt leaves behind must do for tokens to come.
  for (const int32_t next : {7, 8, 9}) {
    EXPECT_TRUE(engine->submit(*id, {&next, 1}, LogitsWanted::kLast).ok());
    EXPECT_TRUE(engine->run(counter).ok());
  }
  return counter;
}

TEST(PrunedPrefill, of_v4_1_computes_a_window_more_a_layer_and_changes_no_bit) {
  for (const NumericMode mode : {NumericMode::kExact, NumericMode::kPublished, NumericMode::kFast}) {
    const Counter whole = prefilled("tests/data/v41-random", mode, LogitsWanted::kAll);
    Counter pruned = prefilled("tests/data/v41-random", mode, LogitsWanted::kLast);
    ASSERT_EQ(pruned.at.size(), 4u);
    for (const auto& [position, row] : pruned.at) {
      EXPECT_TRUE(test::same_bits(row, whole.at.at(position))) << "position " << position;
    }
    // The window is 16, the last layer with entries of its own is 3; and three tokens behind the prompt.
    for (const size_t layer : {0u, 1u, 2u}) EXPECT_EQ(pruned.rows[layer], kTokens + 3) << "layer " << layer;
    EXPECT_EQ(pruned.rows[3], 1 + 3 * 15 + 3);
    EXPECT_EQ(pruned.rows[4], 1 + 2 * 15 + 3);
    EXPECT_EQ(pruned.rows[5], 1 + 15 + 3);
    EXPECT_EQ(pruned.rows[6], 1 + 3);
  }
}

TEST(PrunedPrefill, of_v4_leaves_out_the_last_layer_alone) {
  Counter pruned = prefilled("tests/data/v4-random", NumericMode::kFast, LogitsWanted::kLast);
  EXPECT_EQ(pruned.rows[4], kTokens + 3);
  EXPECT_EQ(pruned.rows[5], 1 + 3);
}

}  // namespace
}  // namespace hadal
