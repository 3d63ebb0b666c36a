#include "engine/planning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hadal {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::shared_ptr<const LoadedModel> tiny_model() {
  static const std::shared_ptr<const LoadedModel> model = [] {
    Result<ModelFiles> files = ModelFiles::open(fs::path(HADAL_SOURCE_DIR) / "models/v4-tiny");
    EXPECT_TRUE(files.ok());
    Result<std::shared_ptr<const LoadedModel>> loaded = LoadedModel::open(std::move(*files));
    EXPECT_TRUE(loaded.ok()) << (loaded.ok() ? "" : loaded.error().to_string());
    return *loaded;
  }();
  return model;
}

EngineOptions one_thread() {
  EngineOptions options;
  options.n_threads = 1;
  return options;
}

ContextPlans plans_for(const std::vector<int64_t>& contexts, const EngineOptions& options) {
  const Result<ContextPlans> plans = plan_contexts(*tiny_model(), options, contexts);
  EXPECT_TRUE(plans.ok()) << (plans.ok() ? "" : plans.error().to_string());
  return plans.ok() ? *plans : ContextPlans();
}

// The same plans on a machine with so much memory.
ContextPlans with_available(ContextPlans plans, uint64_t bytes) {
  for (ContextPlan& c : plans.contexts) c.plan.available_bytes = bytes;
  return plans;
}

TEST(Planning, a_longer_context_takes_more_and_reads_more) {
  const ContextPlans plans = plans_for({1024, 4096, 65536}, one_thread());
  ASSERT_EQ(plans.contexts.size(), 3u);
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_GT(plans.contexts[i].plan.ram_bytes, plans.contexts[i - 1].plan.ram_bytes);
    EXPECT_GT(plans.contexts[i].decode_bytes_per_token, plans.contexts[i - 1].decode_bytes_per_token);
    EXPECT_EQ(plans.contexts[i].plan.mapped_bytes, plans.contexts[0].plan.mapped_bytes);
  }
}

TEST(Planning, context_zero_is_the_default_one) {
  EXPECT_EQ(plans_for({0}, one_thread()).contexts[0].context_tokens, 4096);
}

TEST(Planning, each_sequence_has_a_state_of_its_own) {
  EngineOptions options = one_thread();
  const Plan one = plans_for({4096}, options).contexts[0].plan;
  options.sequences = 5;
  const Plan five = plans_for({4096}, options).contexts[0].plan;
  uint64_t state_bytes = 0;
  for (const PlanRow& row : one.rows) state_bytes += row.what == "sequence state" ? row.bytes : 0;
  ASSERT_GT(state_bytes, 0u);
  // The heap is measured, so it may differ by what tests allocate in between.
  EXPECT_NEAR(static_cast<double>(five.ram_bytes - one.ram_bytes), static_cast<double>(4 * state_bytes), 1 << 20);
}

TEST(Planning, a_context_beyond_the_models_is_refused) {
  const Result<ContextPlans> plans = plan_contexts(*tiny_model(), one_thread(), {65537});
  ASSERT_FALSE(plans.ok());
  EXPECT_EQ(plans.error().code, ErrorCode::kLimit);
}

TEST(Planning, what_fits_is_said_with_what_stays_free) {
  const ContextPlans plans = with_available(plans_for({4096}, one_thread()), uint64_t{1} << 40);
  EXPECT_FALSE(plans.context_tokens_fitting.has_value());
  EXPECT_THAT(context_plans_table(plans, 0), HasSubstr("context 4,096: fits, "));
  EXPECT_THAT(context_plans_table(plans, 0), Not(HasSubstr("tokens/s")));
}

TEST(Planning, what_does_not_fit_is_said_with_how_much_is_missing_and_what_to_change) {
  ContextPlans plans = plans_for({4096, 65536}, one_thread());
  const uint64_t needed = plans.contexts[0].plan.ram_bytes;
  plans = with_available(plans, needed - (uint64_t{1} << 20));
  plans.context_tokens_fitting = 1234;
  const std::string table = context_plans_table(plans, 0);
  EXPECT_THAT(table, HasSubstr("context 4,096: does not fit; "));
  EXPECT_THAT(table, HasSubstr("1.0 MiB of them for memory that must be there"));
  EXPECT_THAT(table, HasSubstr("--context 1234"));
}

TEST(Planning, weights_that_do_not_stay_in_memory_are_slow_and_not_refused) {
  ContextPlans plans = plans_for({4096}, one_thread());
  plans = with_available(plans, plans.contexts[0].plan.total_bytes() - (uint64_t{2} << 20));
  plans.context_tokens_fitting = 0;
  const std::string table = context_plans_table(plans, 0);
  EXPECT_THAT(table, HasSubstr("2.0 MiB too little for all weights"));
  EXPECT_THAT(table, HasSubstr("No context fits"));
}

TEST(Planning, a_measured_bandwidth_becomes_a_limit_of_speed) {
  const ContextPlans plans = plans_for({4096}, one_thread());
  const auto bytes = static_cast<double>(plans.contexts[0].decode_bytes_per_token);
  EXPECT_THAT(context_plans_table(plans, 25 * bytes), HasSubstr("25.0"));
  const json::Value value = context_plans_to_json(plans, 25 * bytes);
  EXPECT_DOUBLE_EQ(value.find("plans")->items()[0].find("decode_tokens_per_s_max")->as_double().value_or(0), 25);
}

}  // namespace
}  // namespace hadal
