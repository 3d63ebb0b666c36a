#include "plan/plan.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

PlanInput some_input() {
  PlanInput in;
  in.expert_bytes = 1000;
  in.other_weight_bytes = 300;
  in.owned_weight_bytes = 20;
  in.tokenizer_bytes = 10;
  in.workspace_bytes = 50;
  in.state_bytes = 40;
  in.context_tokens = 4096;
  in.sequences = 3;
  in.program_bytes = 5;
  return in;
}

TEST(Plan, counts_mapped_and_own_memory_apart) {
  const Plan plan = make_plan(some_input());
  EXPECT_EQ(plan.mapped_bytes, 1300u);
  EXPECT_EQ(plan.ram_bytes, 20u + 10 + 50 + 3 * 40 + 5);
  uint64_t sum = 0;
  for (const PlanRow& row : plan.rows) sum += row.bytes;
  EXPECT_EQ(sum, plan.total_bytes());
}

TEST(Plan, refuses_what_cannot_be_had_and_says_by_how_much) {
  PlanInput in = some_input();
  in.available_bytes = 100;
  const Result<void> result = check_plan(make_plan(in));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kOutOfMemory);
  EXPECT_NE(result.error().found.find("105 B too little"), std::string::npos);
  EXPECT_NE(result.error().hint.find("--context"), std::string::npos);
}

TEST(Plan, refuses_what_the_process_may_not_have) {
  PlanInput in = some_input();
  in.data_limit_bytes = 200;  // 205 are its own
  EXPECT_NE(check_plan(make_plan(in)).error().found.find("5 B too little"), std::string::npos);
  in.data_limit_bytes = 0;
  in.address_limit_bytes = 1504;  // with the weights 1505
  EXPECT_NE(check_plan(make_plan(in)).error().found.find("1 B too little"), std::string::npos);
  in.address_limit_bytes = 1505;
  EXPECT_TRUE(check_plan(make_plan(in)).ok());
}

TEST(Plan, lets_weights_beyond_memory_pass_with_a_warning) {
  PlanInput in = some_input();
  in.available_bytes = 500;
  const Plan plan = make_plan(in);
  EXPECT_TRUE(check_plan(plan).ok());
  EXPECT_FALSE(plan.fits_in_ram());
  EXPECT_NE(plan_table(plan).find("read from disk"), std::string::npos);
}

TEST(Plan, with_a_gpu_what_kernels_read_is_counted_there_and_refused_there) {
  PlanInput in = some_input();
  in.on_gpu = true;
  in.gpu_weight_bytes = 1400;
  in.gpu_available_bytes = 1570;
  const Plan plan = make_plan(in);
  EXPECT_EQ(plan.gpu_bytes, 1400u + 50 + 3 * 40);
  EXPECT_EQ(plan.ram_bytes, 20u + 10 + 5);
  EXPECT_EQ(plan.mapped_bytes, 0u);
  EXPECT_TRUE(check_plan(plan).ok());
  EXPECT_NE(plan_table(plan).find("of 1.5 KiB free"), std::string::npos);
  EXPECT_TRUE(plan.fits());
  in.gpu_available_bytes = 1500;
  EXPECT_FALSE(make_plan(in).fits());
  const Result<void> refused = check_plan(make_plan(in));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(refused.error().found, "1.5 KiB free, 70 B too little");
}

}  // namespace
}  // namespace hadal
