// hadal bench, plan and doctor as programs read them. What they measure is not judged: a test is not a benchmark.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/json_output.h"

namespace hadal {
namespace {

using test::Finished;
using test::json_of;
using test::keys_of;
using test::number_at;
using test::TempFolder;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

// Measuring bandwidth takes a buffer of 1 GiB and some seconds, hence "Slow".
TEST(BenchCommandSlow, the_embedded_model_stays_within_its_plan) {
  const TempFolder folder;
  const Finished run =
      run_hadal(folder, {"bench", "--prefill", "4096", "--decode", "8", "--repeat", "1", "--threads", "2", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const json::Value rows = json_of(run);
  ASSERT_EQ(rows.items().size(), 2u);
  EXPECT_EQ(rows.items()[0].find("phase")->as_string(), "prefill");
  EXPECT_EQ(rows.items()[1].find("phase")->as_string(), "decode");
  for (const json::Value& row : rows.items()) {
    EXPECT_THAT(keys_of(row),
                IsSupersetOf({"phase", "tokens", "depth", "threads", "batch", "tokens_per_s", "bytes_per_token",
                              "read_gbps", "limit_gbps", "share_of_limit", "peak_rss_bytes", "plan_bytes"}));
    // Promise 4. All weights and the whole context are in use, so the plan may not be far above either.
    const double share = number_at(row, {"peak_rss_bytes"}) / number_at(row, {"plan_bytes"});
    EXPECT_LE(share, 1.05);
    EXPECT_GE(share, 0.90);
    EXPECT_GT(number_at(row, {"tokens_per_s"}), 0);
    EXPECT_GT(number_at(row, {"limit_gbps"}), 0);
  }
}

TEST(BenchCommandSlow, comma_separated_values_have_a_head_and_a_line_per_row) {
  const TempFolder folder;
  const Finished run =
      run_hadal(folder, {"bench", "--prefill", "4,8", "--decode", "2", "--repeat", "1", "--threads", "1", "--csv"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(std::count(run.out.begin(), run.out.end(), '\n'), 4);
  EXPECT_THAT(run.out, HasSubstr("phase,tokens,depth,threads,batch,tokens_per_s"));
  EXPECT_THAT(run.out, HasSubstr("\nprefill,8,0,1,1,"));
  EXPECT_THAT(run.err, IsEmpty());
}

TEST(BenchCommand, a_number_out_of_range_is_refused) {
  const TempFolder folder;
  const Finished run = run_hadal(folder, {"bench", "--batch", "0"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("--batch"));
  EXPECT_THAT(run.out, IsEmpty());
}

TEST(PlanCommand, every_context_gets_a_plan_that_adds_up) {
  const TempFolder folder;
  const Finished run = run_hadal(folder, {"plan", "--context", "1024,65536", "--sequences", "3", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const json::Value value = json_of(run);
  const auto& plans = value.find("plans")->items();
  ASSERT_EQ(plans.size(), 2u);
  for (const json::Value& plan : plans) {
    EXPECT_THAT(keys_of(plan), IsSupersetOf({"context_tokens", "rows", "ram_bytes", "mapped_bytes", "total_bytes",
                                             "available_bytes", "fits_in_ram", "decode_bytes_per_token"}));
    double sum = 0;
    for (const json::Value& row : plan.find("rows")->items()) sum += number_at(row, {"bytes"});
    EXPECT_EQ(sum, number_at(plan, {"total_bytes"}));
    EXPECT_EQ(sum, number_at(plan, {"ram_bytes"}) + number_at(plan, {"mapped_bytes"}));
  }
  EXPECT_GT(number_at(plans[1], {"total_bytes"}), number_at(plans[0], {"total_bytes"}));
}

TEST(PlanCommand, the_table_says_whether_it_fits) {
  const TempFolder folder;
  const Finished run = run_hadal(folder, {"plan"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("routed experts"));
  EXPECT_THAT(run.out, HasSubstr("context 4,096: "));
  EXPECT_THAT(run.err, IsEmpty());
}

TEST(DoctorCommandSlow, facts_measurements_and_findings_are_there) {
  const TempFolder folder;
  const Finished run = run_hadal(
      folder, {"doctor", "--model", std::string(HADAL_SOURCE_DIR) + "/models/v4-tiny", "--threads", "1", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const json::Value value = json_of(run);
  EXPECT_GT(number_at(value, {"processors_usable"}), 0);
  EXPECT_GT(number_at(value, {"f32_gflops"}), 0);
  EXPECT_GT(number_at(value, {"disk", "read_gbps"}), 0);
  EXPECT_TRUE(value.find("findings")->is_array());
  EXPECT_TRUE(value.find("gpus")->is_array());
}

TEST(DoctorCommand, a_missing_model_is_named) {
  const TempFolder folder;
  const Finished run = run_hadal(folder, {"doctor", "--model", "/nonexistent/model"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("/nonexistent/model"));
}

}  // namespace
}  // namespace hadal
