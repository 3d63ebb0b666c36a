#include "engine/benchmark.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>

#include "base/check.h"
#include "device/cpu/host_memory.h"
#include "device/device_limits.h"
#include "ops/linear/linear.h"
#include "plan/step_cost.h"
#include "sampling/philox.h"

namespace hadal {
namespace {

// The token at a position of a sequence.
int32_t token_at(int64_t sequence, int64_t position, int64_t vocab_size) {
  return static_cast<int32_t>(random_bits(static_cast<uint64_t>(sequence), static_cast<uint64_t>(position)) %
                              static_cast<uint64_t>(vocab_size));
}

std::vector<int32_t> tokens_from(int64_t sequence, int64_t position, int64_t n, int64_t vocab_size) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < n; ++i) ids.push_back(token_at(sequence, position + i, vocab_size));
  return ids;
}

// Timed steps must not pay for looking at results.
class Ignoring final : public EngineObserver {
 public:
  void logits(SequenceId, int64_t, std::span<const float>) override {}
};

// Which experts the tokens of a step chose, each counted once.
class ExpertCounter final : public EngineObserver {
 public:
  void logits(SequenceId, int64_t, std::span<const float>) override {}
  bool wants_experts() const override { return true; }
  void experts(SequenceId, size_t layer, std::span<const int32_t> experts) override {
    for (const int32_t e : experts) chosen_.insert({layer, e});
  }
  // The count of the step that ended; the next one begins with none.
  uint64_t finish_step() {
    const uint64_t n = chosen_.size();
    chosen_.clear();
    return n;
  }

 private:
  std::set<std::pair<size_t, int32_t>> chosen_;
};

// Runs rows on one engine.
class Runner {
 public:
  Runner(Engine& engine, const BenchHooks& hooks)
      : engine_(engine),
        hooks_(hooks),
        probe_(engine.device(), engine.options().mode == NumericMode::kFast ? LimitProbe::Arithmetic::kBf16AndInt8
                                                                            : LimitProbe::Arithmetic::kF32) {}

  // Makes the sequence that rows of this depth continue, forked for each; depths ascend, and depth 0 needs none.
  Result<void> go_to(int64_t depth) {
    if (depth == 0) return {};
    if (!base_) {
      HADAL_ASSIGN(base_, engine_.open());
    }
    const int64_t at = engine_.length(*base_);
    HADAL_TRY(engine_.submit(*base_, tokens_from(0, at, depth - at, vocab_size()), LogitsWanted::kNone));
    Ignoring ignoring;
    return engine_.run(ignoring);
  }

  // Untimed: what the row's steps must read and compute, on average.
  Result<void> count(BenchRow& row) {
    const StepCost cost(engine_.model().description, engine_.model().weights.weights(), engine_.layout());
    ExpertCounter counter;
    uint64_t bytes = 0;
    double flops = 0;
    double int8_flops = 0;
    const bool has_int8 = engine_.options().mode == NumericMode::kFast && ops::has_int8_rows(engine_.device().shape());
    uint64_t experts = 0;
    int64_t n_steps = 0;
    const auto on_step = [&](const StepShape& shape) {
      StepShape step = shape;
      step.experts_chosen = counter.finish_step();
      bytes += cost.bytes(step);
      flops += cost.flops(step);
      if (has_int8) int8_flops += cost.int8_flops(step);
      experts += step.experts_chosen;
      ++n_steps;
    };
    HADAL_TRY(run(row, counter, on_step));
    const auto tokens = static_cast<double>(row.tokens * row.batch);
    row.bytes_per_token = static_cast<double>(bytes) / tokens;
    row.flops_per_token = flops / tokens;
    row.int8_flops_per_token = int8_flops / tokens;
    row.experts_per_step = static_cast<double>(experts) / static_cast<double>(n_steps);
    return {};
  }

  Result<void> time(BenchRow& row) {
    const bool is_peak_reset = reset_peak_resident_bytes();
    uint64_t seen_bytes = 0;
    Ignoring ignoring;
    HADAL_TRY(run(row, ignoring, [&](const StepShape&) {
      if (!is_peak_reset) seen_bytes = std::max(seen_bytes, resident_bytes());
    }));
    const LimitProbe::Limits limits = probe_.take();
    row.rounds.push_back({seconds_, limits.bytes_per_s, limits.flops, limits.int8_ops});
    const uint64_t resident = is_peak_reset ? peak_resident_bytes() : seen_bytes;
    row.peak_rss_bytes = std::max(row.peak_rss_bytes, resident - std::min(resident, probe_.resident_bytes()));
    return {};
  }

 private:
  int64_t vocab_size() const { return engine_.model().description.vocab_size; }

  // One round of a row on forks of the base; on_step gets the shape of every step.
  template <class OnStep>
  Result<void> run(const BenchRow& row, EngineObserver& observer, const OnStep& on_step) {
    std::vector<SequenceId> ids;
    for (int64_t s = 0; s < row.batch; ++s) {
      HADAL_ASSIGN(const SequenceId id, base_ ? engine_.fork(*base_) : engine_.open());
      ids.push_back(id);
    }
    seconds_ = 0;
    const bool is_decode = row.phase == BenchRow::Phase::kDecode;
    const int64_t n_submissions = is_decode ? row.tokens : 1;
    const int64_t tokens_each = is_decode ? 1 : row.tokens;
    for (int64_t i = 0; i < n_submissions; ++i) {
      for (size_t s = 0; s < ids.size(); ++s) {
        const auto sequence = static_cast<int64_t>(s) + 1;
        HADAL_TRY(engine_.submit(ids[s], tokens_from(sequence, row.depth + i, tokens_each, vocab_size()),
                                 LogitsWanted::kLast));
      }
      while (engine_.pending(ids.back()) > 0) HADAL_TRY(step(ids, observer, on_step));
    }
    for (const SequenceId id : ids) engine_.close(id);
    return {};
  }

  template <class OnStep>
  Result<void> step(const std::vector<SequenceId>& ids, EngineObserver& observer, const OnStep& on_step) {
    const int64_t position = engine_.length(ids.back());
    // A prompt has few steps, and long ones: more passes before each.
    const int passes = engine_.pending(ids.back()) > 1 ? 16 : 1;
    for (int i = 0; i < passes; ++i) probe_.pass();
    const double begin_s = hooks_.now_s();
    HADAL_ASSIGN(const bool worked, engine_.step(observer));
    seconds_ += hooks_.now_s() - begin_s;
    HADAL_CHECK(worked, "a step without tokens");
    on_step({.sequences = static_cast<int64_t>(ids.size()),
             .tokens = engine_.length(ids.back()) - position,
             .position = position,
             .logits = engine_.pending(ids.back()) == 0 ? static_cast<int64_t>(ids.size()) : 0});
    return {};
  }

  Engine& engine_;
  const BenchHooks& hooks_;
  DeviceLimits probe_;
  std::optional<SequenceId> base_;
  double seconds_ = 0;
};

Result<void> check_options(const BenchOptions& options) {
  const auto check = [](std::string_view option, int64_t min, int64_t max, int64_t found) -> Result<void> {
    if (found >= min && found <= max) return {};
    return Error{.code = ErrorCode::kLimit,
                 .what = "a number of the benchmark is outside its range",
                 .in = std::string(option),
                 .want = fmt::format("{} to {}", min, max),
                 .found = fmt::format("{}", found),
                 .hint = ""};
  };
  // A step holds one token of every sequence of a batch.
  const int64_t batch_max = std::min(kBenchBatchMax, options.engine.chunk_tokens);
  for (const int64_t batch : options.batches) HADAL_TRY(check("--batch", 1, batch_max, batch));
  for (const int64_t tokens : options.prefill_tokens) HADAL_TRY(check("--prefill", 1, int64_t{1} << 24, tokens));
  for (const int64_t depth : options.depths) HADAL_TRY(check("--depth", 0, int64_t{1} << 24, depth));
  for (const int threads : options.threads) HADAL_TRY(check("--threads", 0, kBenchThreadsMax, threads));
  HADAL_TRY(check("--decode", 0, int64_t{1} << 24, options.decode_tokens));
  return check("--repeat", 1, kBenchRepeatMax, options.repeat);
}

int64_t largest(const std::vector<int64_t>& values, int64_t at_least) {
  return std::accumulate(values.begin(), values.end(), at_least, [](int64_t a, int64_t b) { return std::max(a, b); });
}

std::vector<BenchRow> rows_at(const BenchOptions& options, int64_t depth, int threads, uint64_t plan_bytes) {
  std::vector<BenchRow> rows;
  const BenchRow row{.depth = depth, .threads = threads, .rounds = {}, .plan_bytes = plan_bytes};
  for (const int64_t tokens : options.prefill_tokens) {
    rows.push_back(row);
    rows.back().phase = BenchRow::Phase::kPrefill;
    rows.back().tokens = tokens;
  }
  for (const int64_t batch : options.batches) {
    if (options.decode_tokens == 0) break;
    rows.push_back(row);
    rows.back().phase = BenchRow::Phase::kDecode;
    rows.back().tokens = options.decode_tokens;
    rows.back().batch = batch;
  }
  return rows;
}

// Reads one byte of every page of the weights, so that no timed step waits for the file system.
void touch_weights(Engine& engine) {
  constexpr int64_t kSystemPageBytes = 4096;
  std::vector<std::span<const std::byte>> matrices;
  for_each_matrix(engine.model().weights.weights(), engine.options().mtp, [&](MatrixUse, const Weight& w) {
    matrices.push_back({w.data, static_cast<size_t>(w.rows * w.row_bytes())});
  });
  std::atomic<uint64_t> sum = 0;
  as_cpu(engine.device()).pool().run(static_cast<int64_t>(matrices.size()), [&](int64_t m) {
    const std::span<const std::byte> bytes = matrices[static_cast<size_t>(m)];
    uint64_t part = 0;
    for (size_t i = 0; i < bytes.size(); i += kSystemPageBytes) {
      part += static_cast<uint64_t>(static_cast<const volatile std::byte&>(bytes[i]));
    }
    sum.fetch_add(part, std::memory_order_relaxed);
  });
}

Result<void> bench_threads(const std::shared_ptr<const LoadedModel>& model, const BenchOptions& options, int threads,
                           const BenchHooks& hooks, BenchReport& report) {
  EngineOptions engine_options = options.engine;
  const int64_t depth_max = largest(options.depths, 0);
  engine_options.n_threads = threads;
  engine_options.context_tokens =
      depth_max + largest(options.prefill_tokens, std::max<int64_t>(1, options.decode_tokens));
  // And the base that they are forks of.
  engine_options.sequences = (options.decode_tokens == 0 ? 1 : largest(options.batches, 1)) + (depth_max > 0 ? 1 : 0);
  HADAL_ASSIGN(Engine engine, Engine::create(model, engine_options));
  if (report.rows.empty()) {
    report.is_warm = engine.plan().fits_in_ram();
    hooks.progress("loading weights", 0, 1);
    const double begin_s = hooks.now_s();
    if (report.is_warm && engine.device().shares_host_memory()) touch_weights(engine);
    report.load_s = hooks.now_s() - begin_s;
  }
  Runner runner(engine, hooks);
  std::vector<int64_t> depths = options.depths;
  std::sort(depths.begin(), depths.end());
  for (const int64_t depth : depths) {
    hooks.progress(fmt::format("filling {} tokens", depth), 0, 1);
    HADAL_TRY(runner.go_to(depth));
    std::vector<BenchRow> rows =
        rows_at(options, depth, engine.options().n_threads, engine.plan().total_bytes() + engine.plan().gpu_bytes);
    const auto n_rows = static_cast<int64_t>(rows.size());
    int64_t done = 0;
    const auto say = [&] { hooks.progress("measuring", done++, (options.repeat + 1) * n_rows); };
    for (BenchRow& row : rows) {
      say();
      HADAL_TRY(runner.count(row));
    }
    for (int64_t round = 0; round < options.repeat; ++round) {
      for (BenchRow& row : rows) {
        say();
        HADAL_TRY(runner.time(row));
      }
    }
    report.rows.insert(report.rows.end(), rows.begin(), rows.end());
  }
  return {};
}

bool is_faster(const BenchRow::Round& a, const BenchRow::Round& b) {
  return a.seconds < b.seconds;
}

}  // namespace

BenchRow::Round BenchRow::median_round() const {
  if (rounds.empty()) return {};
  std::vector<Round> sorted = rounds;
  std::sort(sorted.begin(), sorted.end(), is_faster);
  return sorted[sorted.size() / 2];
}

double BenchRow::share_of_peak() const {
  const Round round = median_round();
  if (round.peak_flops <= 0 || (int8_flops_per_token > 0 && round.peak_int8_ops <= 0)) return 0;
  const double floats_s = (flops_per_token - int8_flops_per_token) / round.peak_flops;
  const double int8_s = int8_flops_per_token > 0 ? int8_flops_per_token / round.peak_int8_ops : 0;
  return (floats_s + int8_s) * tokens_per_s();
}

std::string_view phase_name(BenchRow::Phase phase) {
  return phase == BenchRow::Phase::kPrefill ? "prefill" : "decode";
}

Result<BenchReport> run_benchmark(const std::shared_ptr<const LoadedModel>& model, const BenchOptions& options,
                                  const BenchHooks& hooks) {
  HADAL_TRY(check_options(options));
  BenchReport report;
  for (const int threads : options.threads) HADAL_TRY(bench_threads(model, options, threads, hooks, report));
  return report;
}

json::Value bench_to_json(const BenchReport& report) {
  constexpr double kGiga = 1e9;
  json::Value list = json::Value::array();
  for (const BenchRow& row : report.rows) {
    json::Value r = json::Value::object();
    r.set("phase", json::Value::string(phase_name(row.phase)));
    r.set("tokens", json::Value::number(row.tokens));
    r.set("depth", json::Value::number(row.depth));
    r.set("threads", json::Value::number(static_cast<int64_t>(row.threads)));
    r.set("batch", json::Value::number(row.batch));
    r.set("tokens_per_s", json::Value::number(row.tokens_per_s()));
    r.set("bytes_per_token", json::Value::number(row.bytes_per_token));
    r.set("read_gbps", json::Value::number(row.read_bytes_per_s() / kGiga));
    r.set("limit_gbps", json::Value::number(row.limit_bytes_per_s() / kGiga));
    r.set("share_of_limit", json::Value::number(row.share_of_limit()));
    r.set("peak_rss_bytes", json::Value::number(static_cast<int64_t>(row.peak_rss_bytes)));
    r.set("plan_bytes", json::Value::number(static_cast<int64_t>(row.plan_bytes)));
    r.set("flops_per_token", json::Value::number(row.flops_per_token));
    r.set("int8_flops_per_token", json::Value::number(row.int8_flops_per_token));
    r.set("peak_int8_gops", json::Value::number(row.peak_int8_ops() / kGiga));
    r.set("peak_gflops", json::Value::number(row.peak_flops() / kGiga));
    r.set("share_of_peak", json::Value::number(row.share_of_peak()));
    r.set("experts_per_step", json::Value::number(row.experts_per_step));
    const auto [fastest, slowest] = std::minmax_element(row.rounds.begin(), row.rounds.end(), is_faster);
    r.set("seconds_fastest", json::Value::number(fastest->seconds));
    r.set("seconds_slowest", json::Value::number(slowest->seconds));
    r.set("load_seconds", json::Value::number(report.load_s));
    list.push(std::move(r));
  }
  return list;
}

}  // namespace hadal
