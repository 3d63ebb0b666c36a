// hadal synth OUT --like GEOMETRY: a checkpoint with made-up weights in the sizes and the format of a released model.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "base/format.h"
#include "commands.h"
#include "model/geometry.h"
#include "model/synth.h"
#include "progress_line.h"
#include "terminal/interrupt.h"

namespace hadal::cli {
namespace {

constexpr uint64_t kTokenizerBytesMax = uint64_t{256} << 20;
constexpr int kExitInterrupted = 130;

struct Options {
  SynthOptions synth;
  std::string out;
  std::string tokenizer;
  bool no_mtp = false;
  bool json = false;
};

void print_summary(const Options& options, const SynthPlan& plan, double seconds) {
  const double bytes_per_s = static_cast<double>(plan.tensor_bytes) / seconds;
  if (options.json) {
    json::Value out = json::Value::object();
    out.set("folder", json::Value::string(options.out));
    out.set("like", json::Value::string(options.synth.geometry));
    out.set("layers", json::Value::number(static_cast<int64_t>(plan.description.layers.size())));
    out.set("has_draft", json::Value::boolean(!plan.description.mtp_layers.empty()));
    out.set("n_tensors", json::Value::number(static_cast<int64_t>(plan.n_tensors)));
    out.set("tensor_bytes", json::Value::number(static_cast<int64_t>(plan.tensor_bytes)));
    out.set("n_shards", json::Value::number(static_cast<int64_t>(plan.shards.size())));
    out.set("seconds", json::Value::number(seconds));
    out.set("bytes_per_s", json::Value::number(bytes_per_s));
    fmt::print("{}\n", json::dump_pretty(out));
    return;
  }
  fmt::print("{}: {} of {} tensors in {} shards, written in {} ({}/s)\n", options.out, format_bytes(plan.tensor_bytes),
             format_count(plan.n_tensors), plan.shards.size(), format_seconds(seconds),
             format_bytes(static_cast<uint64_t>(bytes_per_s)));
}

Result<int> synth(const Options& options) {
  SynthOptions synth_options = options.synth;
  synth_options.has_draft = !options.no_mtp;
  HADAL_ASSIGN(SynthPlan plan, plan_synth(synth_options));
  if (!options.tokenizer.empty()) {
    HADAL_ASSIGN(plan.tokenizer_json, read_file(options.tokenizer, kTokenizerBytesMax));
  }

  const auto start = std::chrono::steady_clock::now();
  Result<void> written;
  {
    const Interrupts interrupts(StopSignals::kAllThatEnd);
    ProgressLine line("writing", plan.tensor_bytes);
    written = write_synth(plan, options.out, [&](uint64_t done, uint64_t) {
      line.update(done);
      return !interrupts.is_stop_requested();
    });
  }
  if (!written.ok() && written.error().code == ErrorCode::kCancelled) {
    fmt::print(stderr, "{}\n", written.error().to_string());
    return kExitInterrupted;
  }
  HADAL_TRY(std::move(written));
  print_summary(options, plan, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return 0;
}

}  // namespace

void add_synth_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("synth", "Write a checkpoint with made-up weights in a real geometry");
  command->add_option("out", options->out, "Folder to write; new or empty")->required()->type_name("FOLDER");
  command->add_option("--like", options->synth.geometry, "Geometry to take")
      ->required()
      ->check(CLI::IsMember(geometry_names()));
  command->add_option("--layers", options->synth.layers, "Only the first N layers; default: all");
  command->add_option("--experts", options->synth.experts, "Only the first N routed experts of a layer; default: all");
  command->add_option("--engram-vocab", options->synth.engram_vocab,
                      "Primes of the n-gram tables begin at N: smaller tables; default: the geometry's");
  command->add_flag("--no-mtp", options->no_mtp, "Leave out the draft layer");
  command->add_option("--tokenizer", options->tokenizer, "Copy this tokenizer.json beside the weights")
      ->type_name("FILE");
  command->add_flag("--json", options->json, "One JSON object instead of a line");
  command->footer(
      "The numbers are random, the sizes and the stored format are the release's: for benchmarks and tests on "
      "machines\n"
      "without the weights. Four layers of v4-flash have one of each kind and take about 20 GB with the draft layer;\n"
      "four of v3 or v3.2 are three dense ones and one with experts, 17 GB, or 11 GB with 128 experts.\n"
      "Each of the two Engram tables of v4.1-flash, of layers 1 and 14, takes 101 GB; those of seed, the system that\n"
      "was described before V4's release (64 layers, 577 GB), 51 GB. --engram-vocab makes them small.\n"
      "\n"
      "Examples:\n"
      "  hadal synth /data/flash-4 --like v4-flash --layers 4 --no-mtp\n"
      "  hadal synth /data/v3.2-4 --like v3.2 --layers 4 --experts 128 --no-mtp\n"
      "  hadal synth /data/seed-2 --like seed --layers 2 --engram-vocab 100000\n"
      "  hadal bench /data/flash-4");
  command->callback([options, &action] { action = [options] { return synth(*options); }; });
}

}  // namespace hadal::cli
