// How fast a model runs on this machine, as shares of limits that are measured in the same run.
//
// For every thread count, depth, length and batch one row. The rows of one depth take turns, round by round, so that a
// machine that is slow for a while is slow for all of them, and the limits are measured before every step. A row's
// figures are those of its median round. Tokens are
// pseudo-random, a function of sequence and position, so hash routing and experts vary as in text. Every row is run
// once untimed: that counts the experts which its steps choose, and hence the bytes that they must read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/engine.h"

namespace hadal {

struct BenchOptions {
  EngineOptions engine;  // threads, context and sequences are set by the benchmark
  std::vector<int64_t> prefill_tokens = {128, 512};
  int64_t decode_tokens = 64;          // of each sequence; 0: no decode rows
  std::vector<int64_t> depths = {0};   // tokens that are there before the clock starts
  std::vector<int64_t> batches = {1};  // sequences that decode together
  std::vector<int> threads = {0};      // 0: one per processor
  int64_t repeat = 3;
};

// Limits that keep a typing mistake from running for days.
inline constexpr int64_t kBenchBatchMax = 4096;
inline constexpr int64_t kBenchThreadsMax = 4096;
inline constexpr int64_t kBenchRepeatMax = 1000;

struct BenchRow {
  enum class Phase { kPrefill, kDecode } phase = Phase::kPrefill;
  int64_t tokens = 0;  // of each sequence
  int64_t depth = 0;
  int64_t batch = 1;
  int threads = 1;

  struct Round {
    double seconds = 0;
    double limit_bytes_per_s = 0;  // reading from memory with these threads, the mean over passes before every step
    double peak_flops = 0;         // of BF16 products in fast mode, of F32 in the others, likewise
    double peak_int8_ops = 0;      // of 8-bit products; 0 where the mode has none
  };
  std::vector<Round> rounds;
  double bytes_per_token = 0;  // that must be read, see plan/step_cost.h
  double flops_per_token = 0;
  double int8_flops_per_token = 0;  // of those: products of 8-bit integers
  double experts_per_step = 0;      // different (layer, expert) pairs
  uint64_t peak_rss_bytes = 0;
  uint64_t plan_bytes = 0;

  // By seconds; of an even number the slower one of the two in the middle.
  Round median_round() const;
  double tokens_per_s() const { return static_cast<double>(tokens * batch) / median_round().seconds; }
  double read_bytes_per_s() const { return bytes_per_token * tokens_per_s(); }
  double limit_bytes_per_s() const { return median_round().limit_bytes_per_s; }
  double peak_flops() const { return median_round().peak_flops; }
  double share_of_limit() const { return limit_bytes_per_s() > 0 ? read_bytes_per_s() / limit_bytes_per_s() : 0; }
  double peak_int8_ops() const { return median_round().peak_int8_ops; }
  // The time that the operations would take at the peaks of their kinds, as a share of the time they took.
  double share_of_peak() const;
};

struct BenchReport {
  std::vector<BenchRow> rows;
  double load_s = 0;    // touching every mapped weight once, before anything is timed
  bool is_warm = true;  // false: the weights do not fit into memory, so they were not touched
};

struct BenchHooks {
  std::function<double()> now_s;  // seconds of a clock that does not go back
  std::function<void(std::string_view what, int64_t done, int64_t of)> progress;
};

// Errors: Limit (batch or repeat out of range, context), those of Engine.
Result<BenchReport> run_benchmark(const std::shared_ptr<const LoadedModel>& model, const BenchOptions& options,
                                  const BenchHooks& hooks);

std::string_view phase_name(BenchRow::Phase phase);  // "prefill", "decode"

// A list of objects, one per row; bytes, and 10^9 bytes a second.
json::Value bench_to_json(const BenchReport& report);

}  // namespace hadal
