// hadal eval MODEL TEXT: how well does this model predict this text, and how far is one numeric mode from another?

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>

#include "base/format.h"
#include "base/io.h"
#include "clock.h"
#include "commands.h"
#include "engine/evaluation.h"
#include "model_options.h"
#include "terminal/progress.h"

namespace hadal::cli {
namespace {

constexpr uint64_t kTextBytesMax = uint64_t{1} << 30;

struct Options {
  ModelOptions model;
  std::string text;
  std::string kl_mode;
  std::string kl_model;
  int64_t documents = 0;
  bool json = false;
  bool verbose = false;
};

void print_documents(const Evaluation& evaluation) {
  fmt::print("{:>8} {:>9} {:>9} {:>10} {:>10} {:>10}\n", "document", "bytes", "tokens", "nll sum", "nll", "ppl");
  for (size_t i = 0; i < evaluation.documents.size(); ++i) {
    const DocumentScore& d = evaluation.documents[i];
    const double nll = d.tokens == 0 ? 0 : d.nll_sum / static_cast<double>(d.tokens);
    fmt::print("{:>8} {:>9} {:>9} {:>10.2f} {:>10.4f} {:>10.4f}\n", i, d.bytes, d.tokens, d.nll_sum, nll,
               std::exp(nll));
  }
  fmt::print("\n");
}

void print_summary(const Evaluation& evaluation, const Options& options, double seconds) {
  const auto count = [](int64_t n) { return format_count(static_cast<uint64_t>(n)); };
  const auto tokens = static_cast<double>(evaluation.tokens());
  fmt::print("text           {}: {} documents, {} bytes, {} tokens\n", options.text, evaluation.documents.size(),
             count(evaluation.bytes()), count(evaluation.tokens()));
  fmt::print("nll            {:.5f} nats per token\n", evaluation.nll());
  fmt::print("perplexity     {:.4f}\n", evaluation.perplexity());
  fmt::print("bits per byte  {:.4f}\n", evaluation.bits_per_byte());
  if (evaluation.divergence) {
    const Divergence& d = *evaluation.divergence;
    fmt::print("reference      {}{}{}: perplexity {:.4f}\n", options.kl_model, options.kl_model.empty() ? "" : " ",
               options.kl_mode.empty() ? options.model.mode : options.kl_mode,
               std::exp(d.reference_nll_sum / static_cast<double>(d.tokens)));
    fmt::print("KL             {:.3e} nats mean, {:.3e} at most\n", d.kl_mean(), d.kl_max);
    fmt::print("greedy equal   {:.2f} %\n", d.greedy_equal_share() * 100);
  }
  fmt::print("time           {}, {:.1f} tokens/s\n", format_seconds(seconds), tokens / seconds);
}

// The engine that the first one is held against; nothing when none is asked for.
Result<std::optional<Engine>> reference_engine(const Options& options,
                                               const std::shared_ptr<const LoadedModel>& model) {
  if (options.kl_mode.empty() && options.kl_model.empty()) return std::optional<Engine>();
  ModelOptions reference = options.model;
  if (!options.kl_mode.empty()) reference.mode = options.kl_mode;
  std::shared_ptr<const LoadedModel> loaded = model;
  if (!options.kl_model.empty()) {
    reference.model = options.kl_model;
    HADAL_ASSIGN(loaded, reference.load());
  }
  HADAL_ASSIGN(const EngineOptions engine_options, reference.engine_options(loaded->description));
  HADAL_ASSIGN(Engine engine, Engine::create(std::move(loaded), engine_options));
  return std::optional<Engine>(std::move(engine));
}

Result<std::vector<std::string_view>> documents_of(const Options& options, std::string_view text) {
  std::vector<std::string_view> documents = split_documents(text, options.documents);
  if (!documents.empty()) return documents;
  return Error{.code = ErrorCode::kInvalid,
               .what = "there is nothing to score",
               .in = options.text,
               .want = "text, its documents separated by NUL bytes",
               .found = fmt::format("{} bytes without a document", text.size()),
               .hint = ""};
}

Result<int> eval(const Options& options) {
  HADAL_ASSIGN(const std::string text, read_file(options.text, kTextBytesMax));
  HADAL_ASSIGN(const std::vector<std::string_view> documents, documents_of(options, text));
  HADAL_ASSIGN(const std::shared_ptr<const LoadedModel> model, options.model.load());
  HADAL_ASSIGN(const EngineOptions engine_options, options.model.engine_options(model->description));
  HADAL_ASSIGN(Engine engine, Engine::create(model, engine_options));
  HADAL_ASSIGN(std::optional<Engine> reference, reference_engine(options, model));

  const double begin_s = now_s();
  std::optional<ProgressBar> bar;
  const auto progress = [&](int64_t done, int64_t of) {
    if (!bar) {
      bar.emplace(
          ProgressOptions{
              .label = "scoring", .total = static_cast<uint64_t>(of), .unit = ProgressOptions::Unit::kTokens},
          inspect_terminal(STDERR_FILENO), begin_s);
    }
    fmt::print(stderr, "{}", bar->update(static_cast<uint64_t>(done), now_s(), terminal_columns(STDERR_FILENO)));
  };
  HADAL_ASSIGN(const Evaluation evaluation, evaluate(engine, reference ? &*reference : nullptr, documents, progress));
  if (bar) fmt::print(stderr, "{}", bar->clear());
  if (options.json) {
    fmt::print("{}\n", json::dump_pretty(evaluation_to_json(evaluation)));
    return 0;
  }
  if (options.verbose) print_documents(evaluation);
  print_summary(evaluation, options, now_s() - begin_s);
  return 0;
}

}  // namespace

void add_eval_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("eval", "Score a text: perplexity, and KL between two modes or models");
  options->model.add_to(*command, false);
  command->add_option("text", options->text, "Text file; documents are separated by NUL bytes")->required();
  command->add_option("--kl", options->kl_mode,
                      "Also compare with this mode as the reference: mean KL and equal greedy tokens");
  command->add_option("--kl-model", options->kl_model, "The same with another model as the reference");
  command->add_option("--documents", options->documents, "Only the first N documents; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_flag("-v,--verbose", options->verbose, "A line for each document");
  command->add_flag("--json", options->json, "One JSON object instead of text");
  command->footer(
      "Examples:\n"
      "  hadal eval ./DeepSeek-V4-Flash heldout.txt\n"
      "  hadal eval ./DeepSeek-V4-Flash heldout.txt --mode fast --kl exact --documents 8");
  command->callback([options, &action] { action = [options] { return eval(*options); }; });
}

}  // namespace hadal::cli
