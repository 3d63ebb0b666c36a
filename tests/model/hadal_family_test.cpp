// Hadal's own family: every combination of its blocks is one model of the one forward pass. Weights are made up; what
// is held is that the same tokens give the same bits however they are fed, and what a block must not change.
// (equalities_test.cpp holds all of promise 2 for the announced system's blocks.)

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <vector>

#include "engine/engine.h"
#include "testing/compare.h"
#include "testing/made_up_model.h"
#include "testing/tiny_hadal.h"

namespace hadal {
namespace {

using test::ConfigChange;
using test::MadeUpModel;
using test::must;
using test::tiny_hadal;

constexpr int64_t kTokens = 150;  // beyond a page of 128, and YaRN's 128

std::vector<int32_t> prompt() {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < kTokens; ++i) ids.push_back(static_cast<int32_t>((i * i + 3 * i) % 509));
  return ids;
}

class Collector final : public EngineObserver {
 public:
  void logits(SequenceId, int64_t position, std::span<const float> logits) override {
    at[position].assign(logits.begin(), logits.end());
  }
  std::map<int64_t, std::vector<float>> at;
};

using Logits = std::map<int64_t, std::vector<float>>;

// Logits of every position, fed at once in chunks.
Logits logits_of(const MadeUpModel& model, NumericMode mode, int64_t chunk) {
  Engine engine = must(
      Engine::create(model.loaded(), {.mode = mode, .n_threads = 2, .context_tokens = 256, .chunk_tokens = chunk}));
  const SequenceId id = must(engine.open());
  Collector collector;
  EXPECT_TRUE(engine.submit(id, prompt(), LogitsWanted::kAll).ok());
  const Result<void> result = engine.run(collector);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().to_string());
  EXPECT_EQ(collector.at.size(), static_cast<size_t>(kTokens));
  return collector.at;
}

bool all_finite(const Logits& logits) {
  for (const auto& [position, row] : logits) {
    for (const float v : row) {
      if (!std::isfinite(v)) return false;
    }
  }
  return true;
}

// Rows before position `end` have the same bits.
::testing::AssertionResult same_before(int64_t end, const Logits& a, const Logits& b) {
  for (const auto& [position, row] : a) {
    if (position >= end) break;
    if (auto same = test::same_bits(b.at(position), row); !same) return same << ", position " << position;
  }
  return ::testing::AssertionSuccess();
}

constexpr const char* kAttentions[] = {R"("mla")", R"("mla_dsa")", R"(["mla_dsa", "mla", "mla", "mla_dsa"])",
                                       R"("v4")"};
constexpr const char* kResiduals[] = {"plain", "same", "next"};
constexpr const char* kFfns[] = {R"("dense")", R"("moe")"};
constexpr const char* kEngrams[] = {"[]", "[1]"};

json::Value combined(const char* attention, std::string_view residual, const char* ffn, const char* engram) {
  const bool is_plain = residual == "plain";
  json::Value config = tiny_hadal({{"attention", attention},
                                   {"residual", is_plain ? R"("plain")" : R"("mhc")"},
                                   {"hc_schedule", residual == "same" ? R"("same")" : R"("next")"},
                                   {"ffn", ffn},
                                   {"engram_layer_ids", engram}});
  if (std::string_view(attention) == R"("v4")") test::change(config, {"quantization_config", "null"});
  return config;
}

TEST(HadalFamily, every_combination_gives_the_same_bits_in_any_chunks) {
  int n_combinations = 0;
  Logits last;
  for (const char* attention : kAttentions) {
    for (const char* residual : kResiduals) {
      for (const char* ffn : kFfns) {
        for (const char* engram : kEngrams) {
          const MadeUpModel model(combined(attention, residual, ffn, engram));
          const NumericMode modes[] = {NumericMode::kExact, NumericMode::kPublished, NumericMode::kFast};
          const NumericMode mode = modes[n_combinations % 3];
          const std::string what =
              fmt::format("{} {} {} {} {}", attention, residual, ffn, engram, numeric_mode_name(mode));
          const Logits whole = logits_of(model, mode, 512);
          EXPECT_TRUE(all_finite(whole)) << what;
          EXPECT_TRUE(same_before(kTokens, whole, logits_of(model, mode, 1))) << what;
          EXPECT_TRUE(same_before(kTokens, whole, logits_of(model, mode, 37))) << what;
          // Another combination is another model.
          EXPECT_FALSE(n_combinations > 0 && same_before(kTokens, whole, last)) << what;
          last = whole;
          ++n_combinations;
        }
      }
    }
  }
  EXPECT_EQ(n_combinations, 48);
}

TEST(HadalFamily, a_choice_of_all_positions_is_dense_attention) {
  // Names are all that made-up weights depend on: what both models have is the same.
  const MadeUpModel dense(tiny_hadal({{"attention", R"("mla")"}}));
  const MadeUpModel all_chosen(tiny_hadal({{"index_topk", "150"}}));
  const MadeUpModel sparse(tiny_hadal());
  const Logits want = logits_of(dense, NumericMode::kExact, 64);
  EXPECT_TRUE(same_before(kTokens, want, logits_of(all_chosen, NumericMode::kExact, 64)));
  // The first 24 tokens see no more than the 24 positions that may be chosen.
  const Logits chosen = logits_of(sparse, NumericMode::kExact, 64);
  EXPECT_TRUE(same_before(24, want, chosen));
  EXPECT_FALSE(same_before(kTokens, want, chosen));
}

TEST(HadalFamily, candidate_blocks_that_hold_every_position_change_nothing) {
  const Logits want = logits_of(MadeUpModel(tiny_hadal()), NumericMode::kExact, 64);
  const auto with_blocks = [&](const char* blocks, int64_t chunk) {
    const MadeUpModel model(tiny_hadal({{"candidate_source_layer_id", "1"}, {"candidate_topk_blocks", blocks}}));
    return logits_of(model, NumericMode::kExact, chunk);
  };
  EXPECT_TRUE(same_before(kTokens, want, with_blocks("19", 64)));
  const Logits few = with_blocks("4", 64);
  EXPECT_FALSE(same_before(kTokens, want, few));
  EXPECT_TRUE(same_before(kTokens, few, with_blocks("4", 1)));
}

}  // namespace
}  // namespace hadal
