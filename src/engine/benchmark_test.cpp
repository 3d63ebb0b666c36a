#include "engine/benchmark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hadal {
namespace {

using ::testing::ElementsAreArray;

std::shared_ptr<const LoadedModel> random_model() {
  Result<ModelFiles> files = ModelFiles::open(fs::path(HADAL_SOURCE_DIR) / "tests/data/v4-random");
  EXPECT_TRUE(files.ok());
  Result<std::shared_ptr<const LoadedModel>> model = LoadedModel::open(std::move(*files));
  EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().to_string());
  return *model;
}

// A clock on which every step takes one second: begin and end of a step are two looks at it.
class StepClock {
 public:
  BenchHooks hooks() {
    return {.now_s = [this] { return now_s_ += 1; }, .progress = [](std::string_view, int64_t, int64_t) {}};
  }

 private:
  double now_s_ = 0;
};

BenchOptions small_options() {
  BenchOptions options;
  options.prefill_tokens = {8};
  options.decode_tokens = 3;
  options.threads = {1};
  options.repeat = 1;
  return options;
}

BenchReport run_small(const BenchOptions& options) {
  StepClock clock;
  const Result<BenchReport> report = run_benchmark(random_model(), options, clock.hooks());
  EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().to_string());
  return report.ok() ? *report : BenchReport();
}

TEST(BenchmarkSlow, there_is_a_row_for_every_length_depth_batch_and_thread_count) {
  BenchOptions options = small_options();
  options.prefill_tokens = {4, 8};
  options.depths = {16, 0};
  options.batches = {1, 2};
  const BenchReport report = run_small(options);
  std::vector<std::string> rows;
  for (const BenchRow& row : report.rows) {
    rows.push_back(std::string(phase_name(row.phase)) + " " + std::to_string(row.tokens) + " at " +
                   std::to_string(row.depth) + " x " + std::to_string(row.batch));
  }
  EXPECT_THAT(rows, ElementsAreArray({"prefill 4 at 0 x 1", "prefill 8 at 0 x 1", "decode 3 at 0 x 1",
                                      "decode 3 at 0 x 2", "prefill 4 at 16 x 1", "prefill 8 at 16 x 1",
                                      "decode 3 at 16 x 1", "decode 3 at 16 x 2"}));
}

TEST(BenchmarkSlow, only_steps_are_timed) {
  const BenchReport report = run_small(small_options());
  ASSERT_EQ(report.rows.size(), 2u);
  EXPECT_DOUBLE_EQ(report.rows[0].median_round().seconds, 1) << "a prompt of one step";
  EXPECT_DOUBLE_EQ(report.rows[1].median_round().seconds, 3) << "three decoded tokens";
  EXPECT_DOUBLE_EQ(report.rows[0].tokens_per_s(), 8);
  EXPECT_DOUBLE_EQ(report.rows[1].tokens_per_s(), 1);
}

TEST(BenchmarkSlow, a_batch_reads_fewer_bytes_per_token_and_more_per_step) {
  BenchOptions options = small_options();
  options.prefill_tokens = {};
  options.batches = {1, 4};
  const BenchReport report = run_small(options);
  ASSERT_EQ(report.rows.size(), 2u);
  const BenchRow& one = report.rows[0];
  const BenchRow& four = report.rows[1];
  EXPECT_LT(four.bytes_per_token, one.bytes_per_token);
  EXPECT_GT(four.bytes_per_token * 4, one.bytes_per_token);
  EXPECT_GT(four.experts_per_step, one.experts_per_step);
  EXPECT_LE(four.experts_per_step, 4 * one.experts_per_step);
}

TEST(BenchmarkSlow, shares_are_rates_over_the_limits_of_the_run) {
  const BenchReport report = run_small(small_options());
  for (const BenchRow& row : report.rows) {
    EXPECT_GT(row.limit_bytes_per_s(), 0);
    EXPECT_GT(row.peak_flops(), 0);
    EXPECT_DOUBLE_EQ(row.share_of_limit(), row.bytes_per_token * row.tokens_per_s() / row.limit_bytes_per_s());
    EXPECT_GT(row.peak_int8_ops(), row.int8_flops_per_token > 0 ? 0 : -1);
    EXPECT_LT(row.int8_flops_per_token, row.flops_per_token);
    EXPECT_GT(row.peak_rss_bytes, 0u);
    EXPECT_GT(row.plan_bytes, 0u);
  }
}

TEST(BenchmarkSlow, programs_get_a_list_with_the_documented_keys) {
  const json::Value list = bench_to_json(run_small(small_options()));
  ASSERT_EQ(list.items().size(), 2u);
  std::vector<std::string> keys;
  for (const auto& [key, value] : list.items()[0].members()) keys.push_back(key);
  keys.resize(12);
  EXPECT_THAT(keys, ElementsAreArray({"phase", "tokens", "depth", "threads", "batch", "tokens_per_s", "bytes_per_token",
                                      "read_gbps", "limit_gbps", "share_of_limit", "peak_rss_bytes", "plan_bytes"}));
}

TEST(Benchmark, a_share_of_peak_weighs_operations_by_the_peaks_of_their_kinds) {
  BenchRow row;
  row.tokens = 10;
  row.rounds = {{.seconds = 5, .limit_bytes_per_s = 1, .peak_flops = 100, .peak_int8_ops = 400}};
  row.flops_per_token = 30;
  EXPECT_DOUBLE_EQ(row.share_of_peak(), 30 * 2.0 / 100);
  // 10 operations in floating point take 0.1 s at best, 20 in 8 bits 0.05 s; a token took 0.5 s.
  row.int8_flops_per_token = 20;
  EXPECT_DOUBLE_EQ(row.share_of_peak(), (0.1 + 0.05) / 0.5);
  row.rounds[0].peak_int8_ops = 0;
  EXPECT_EQ(row.share_of_peak(), 0) << "not measured";
}

TEST(Benchmark, the_median_of_rounds_is_a_rows_time) {
  BenchRow row;
  row.rounds = {{5, 50, 500}, {1, 10, 100}, {3, 30, 300}};
  EXPECT_EQ(row.median_round().seconds, 3);
  EXPECT_EQ(row.limit_bytes_per_s(), 30) << "limits of the same round";
  EXPECT_EQ(row.peak_flops(), 300);
  row.rounds = {{4, 40, 400}, {1, 10, 100}};
  EXPECT_EQ(row.median_round().seconds, 4);
}

TEST(Benchmark, numbers_out_of_range_are_refused_by_name) {
  struct Case {
    void (*spoil)(BenchOptions& options);
    const char* in;
  };
  const Case cases[] = {
      {[](BenchOptions& o) { o.batches = {0}; }, "--batch"},
      {[](BenchOptions& o) { o.batches = {kBenchBatchMax + 1}; }, "--batch"},
      {[](BenchOptions& o) {
         o.engine.chunk_tokens = 4;
         o.batches = {5};
       },
       "--batch"},
      {[](BenchOptions& o) { o.prefill_tokens = {0}; }, "--prefill"},
      {[](BenchOptions& o) { o.depths = {-1}; }, "--depth"},
      {[](BenchOptions& o) { o.decode_tokens = -1; }, "--decode"},
      {[](BenchOptions& o) { o.repeat = 0; }, "--repeat"},
      {[](BenchOptions& o) { o.repeat = kBenchRepeatMax + 1; }, "--repeat"},
      {[](BenchOptions& o) { o.threads = {-1}; }, "--threads"},
  };
  const auto model = random_model();
  StepClock clock;
  for (const Case& c : cases) {
    BenchOptions options = small_options();
    c.spoil(options);
    const Result<BenchReport> report = run_benchmark(model, options, clock.hooks());
    ASSERT_FALSE(report.ok()) << c.in;
    EXPECT_EQ(report.error().code, ErrorCode::kLimit);
    EXPECT_EQ(report.error().in, c.in);
  }
}

TEST(Benchmark, a_depth_beyond_the_models_context_is_refused) {
  BenchOptions options = small_options();
  options.depths = {1 << 23};
  StepClock clock;
  const Result<BenchReport> report = run_benchmark(random_model(), options, clock.hooks());
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace hadal
