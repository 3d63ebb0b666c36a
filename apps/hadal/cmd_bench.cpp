// hadal bench [MODEL]: prefill and decode by depth, batch and threads, as shares of what this machine can do.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/format.h"
#include "clock.h"
#include "commands.h"
#include "engine/benchmark.h"
#include "model_options.h"
#include "terminal/style.h"

namespace hadal::cli {
namespace {

constexpr double kGiga = 1e9;

struct Options {
  ModelOptions model;
  BenchOptions bench;
  bool json = false;
  bool csv = false;
};

// "512 at 4096" for a prefill of 512 tokens behind 4096 others.
std::string label(const BenchRow& row) {
  std::string text = fmt::format("{} {}", phase_name(row.phase), row.tokens);
  if (row.depth > 0) text += fmt::format(" at {}", row.depth);
  return text;
}

void print_table(const BenchReport& report, const Style& style) {
  const std::string head =
      fmt::format("{:<20} {:>7} {:>5} {:>10} {:>9} {:>9} {:>7} {:>9} {:>7} {:>10} {:>10}", "run", "threads", "batch",
                  "tokens/s", "MB/token", "read GB/s", "of mem", "GFLOP/s", "of peak", "peak RSS", "plan");
  fmt::print("{}\n", style.wrap(Tone::kBold, head));
  for (const BenchRow& row : report.rows) {
    fmt::print("{:<20} {:>7} {:>5} {:>10.2f} {:>9.2f} {:>9.2f} {:>6.1f}% {:>9.1f} {:>6.1f}% {:>10} {:>10}\n",
               label(row), row.threads, row.batch, row.tokens_per_s(), row.bytes_per_token / 1e6,
               row.read_bytes_per_s() / kGiga, row.share_of_limit() * 100,
               row.flops_per_token * row.tokens_per_s() / kGiga, row.share_of_peak() * 100,
               format_bytes(row.peak_rss_bytes), format_bytes(row.plan_bytes));
  }
  fmt::print("\n");
  fmt::print("limits, measured between the steps of each row:\n");
  for (const BenchRow& row : report.rows) {
    std::string peak = row.peak_flops() > 0 ? fmt::format("{:.1f} GFLOP/s", row.peak_flops() / kGiga) : "not measured";
    if (row.int8_flops_per_token > 0) peak += fmt::format(", in 8 bits {:.1f} Gop/s", row.peak_int8_ops() / kGiga);
    fmt::print("  {:<18} memory {:.2f} GB/s, arithmetic {}\n", label(row), row.limit_bytes_per_s() / kGiga, peak);
  }
  if (report.is_warm) {
    fmt::print("load: {} to touch every weight once, not part of any row\n", format_seconds(report.load_s));
  } else {
    fmt::print("the weights do not fit into memory: rows contain reads from disk\n");
  }
}

void print_csv(const BenchReport& report) {
  const json::Value rows = bench_to_json(report);
  for (size_t i = 0; i < rows.items().size(); ++i) {
    std::string head;
    std::string line;
    for (const auto& [key, value] : rows.items()[i].members()) {
      head += (head.empty() ? "" : ",") + key;
      line += (line.empty() ? "" : ",") + (value.is_string() ? value.as_string() : value.number_as_text());
    }
    if (i == 0) fmt::print("{}\n", head);
    fmt::print("{}\n", line);
  }
}

Result<int> bench(const Options& options) {
  const TerminalFacts facts = inspect_terminal(STDERR_FILENO);
  const double begin_s = now_s();
  HADAL_ASSIGN(const std::shared_ptr<const LoadedModel> model, options.model.load());
  BenchOptions bench_options = options.bench;
  bench_options.engine = options.model.engine_options(model->description);
  const BenchHooks hooks{
      .now_s = now_s,
      .progress =
          [&](std::string_view what, int64_t done, int64_t of) {
            if (!facts.has_motion) return;
            const std::string share = of > 1 ? fmt::format(" {} of {}", done + 1, of) : "";
            fmt::print(stderr, "\r\033[K{}{}, {}", what, share, format_seconds(now_s() - begin_s));
          },
  };
  const Result<BenchReport> report = run_benchmark(model, bench_options, hooks);
  if (facts.has_motion) fmt::print(stderr, "\r\033[K");
  if (!report.ok()) return report.error();
  if (options.json) {
    fmt::print("{}\n", json::dump_pretty(bench_to_json(*report)));
  } else if (options.csv) {
    print_csv(*report);
  } else {
    print_table(*report, Style(inspect_terminal(STDOUT_FILENO)));
  }
  return 0;
}

}  // namespace

void add_bench_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("bench", "Measure prefill and decode, as shares of this machine's limits");
  options->model.add_to(*command, true);
  // The benchmark's lengths say how long the context must be, and threads are a list.
  command->remove_option(command->get_option("--context"));
  command->remove_option(command->get_option("--threads"));
  BenchOptions& bench_options = options->bench;
  const auto list = [command](const std::string& name, auto& values, const std::string& help) {
    command->add_option(name, values, help)->delimiter(',')->allow_extra_args(false)->capture_default_str();
  };
  list("--prefill", bench_options.prefill_tokens, "Prompt lengths to time");
  list("--depth", bench_options.depths, "Tokens that are there before the clock starts");
  list("--batch", bench_options.batches, "Sequences that decode together");
  list("-t,--threads", bench_options.threads, "Threads; 0: one per processor");
  command->add_option("--decode", bench_options.decode_tokens, "Tokens to decode; 0: no decode rows")
      ->capture_default_str();
  command->add_option("--repeat", bench_options.repeat, "Rounds; a row's figure is their median")
      ->capture_default_str();
  CLI::Option* json = command->add_flag("--json", options->json, "A list of JSON objects instead of a table");
  command->add_flag("--csv", options->csv, "The same as comma-separated values")->excludes(json);
  command->footer(
      "Examples:\n"
      "  hadal bench\n"
      "  hadal bench ./DeepSeek-V4-Flash --prefill 512 --decode 64 --depth 0,8192 --batch 1,4 --threads 8,16");
  command->callback([options, &action] { action = [options] { return bench(*options); }; });
}

}  // namespace hadal::cli
