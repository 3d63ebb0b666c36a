// hadal eval MODEL TEXT: how well does this model predict this text, and how far is one numeric mode from another?

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "base/io.h"
#include "clock.h"
#include "commands.h"
#include "engine/evaluation.h"
#include "engine/needle.h"
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
  bool has_needle = false;
  NeedleOptions needle;
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
  const EngineOptions engine_options = reference.engine_options(loaded->description);
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

// A bar on stderr for work that is counted in tokens or tries; nothing when stderr is no terminal.
class Progress {
 public:
  explicit Progress(std::string label) : label_(std::move(label)), begin_s_(now_s()) {}
  ~Progress() {
    if (bar_) fmt::print(stderr, "{}", bar_->clear());
  }
  void operator()(int64_t done, int64_t of) {
    if (!bar_) {
      bar_.emplace(
          ProgressOptions{.label = label_, .total = static_cast<uint64_t>(of), .unit = ProgressOptions::Unit::kTokens},
          inspect_terminal(STDERR_FILENO), begin_s_);
    }
    fmt::print(stderr, "{}", bar_->update(static_cast<uint64_t>(done), now_s(), terminal_columns(STDERR_FILENO)));
  }
  double seconds() const { return now_s() - begin_s_; }

 private:
  std::string label_;
  double begin_s_;
  std::optional<ProgressBar> bar_;
};

void print_needles(const std::vector<NeedleTry>& tries) {
  fmt::print("{:>13} {:>6}  {:<12} {:<6} {}\n", "prompt tokens", "depth", "code word", "found", "answer");
  int64_t n_found = 0;
  for (const NeedleTry& t : tries) {
    // Line feeds and quotes as JSON writes them: one try, one line.
    fmt::print("{:>13} {:>5}%  {:<12} {:<6} {}\n", t.prompt_tokens, t.depth_percent, t.code_word,
               t.is_found ? "yes" : "no", json::quote(t.answer));
    n_found += t.is_found;
  }
  fmt::print("\n{} of {} found\n", n_found, tries.size());
}

Result<int> find_needles_in(Engine& engine, std::string_view text, const Options& options) {
  Progress progress("searching");
  const Result<std::vector<NeedleTry>> tries =
      find_needles(engine, text, options.needle, [&](int64_t done, int64_t of) { progress(done, of); });
  if (!tries.ok()) return tries.error();
  if (options.json) {
    fmt::print("{}\n", json::dump_pretty(needles_to_json(*tries)));
  } else {
    print_needles(*tries);
  }
  return 0;
}

// A context that the needle's prompts fit: the filler, the question and the answer.
void widen_for_needles(const Options& options, const ModelDescription& description, EngineOptions& engine_options) {
  constexpr int64_t kQuestionTokens = 64;
  if (!options.has_needle || options.model.context > 0) return;
  int64_t longest = 0;
  for (const int64_t n : options.needle.filler_tokens) longest = std::max(longest, n);
  engine_options.context_tokens = std::min(description.context_tokens_max,
                                           longest + longest / 8 + kQuestionTokens + options.needle.answer_tokens_max);
}

Result<int> eval(const Options& options) {
  HADAL_ASSIGN(const std::string text, read_file(options.text, kTextBytesMax));
  HADAL_ASSIGN(const std::vector<std::string_view> documents, documents_of(options, text));
  HADAL_ASSIGN(const std::shared_ptr<const LoadedModel> model, options.model.load());
  EngineOptions engine_options = options.model.engine_options(model->description);
  widen_for_needles(options, model->description, engine_options);
  HADAL_ASSIGN(Engine engine, Engine::create(model, engine_options));
  if (options.has_needle) return find_needles_in(engine, text, options);
  HADAL_ASSIGN(std::optional<Engine> reference, reference_engine(options, model));

  std::optional<Progress> progress("scoring");
  HADAL_ASSIGN(const Evaluation evaluation, evaluate(engine, reference ? &*reference : nullptr, documents,
                                                     [&](int64_t done, int64_t of) { (*progress)(done, of); }));
  const double seconds = progress->seconds();
  progress.reset();
  if (options.json) {
    fmt::print("{}\n", json::dump_pretty(evaluation_to_json(evaluation)));
    return 0;
  }
  if (options.verbose) print_documents(evaluation);
  print_summary(evaluation, options, seconds);
  return 0;
}

}  // namespace

void add_eval_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("eval", "Score a text: perplexity, and KL between two modes or models");
  options->model.add_to(*command, false);
  command->add_option("text", options->text, "Text file; documents are separated by NUL bytes")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--kl", options->kl_mode,
                   "Also compare with this mode as the reference: mean KL and equal greedy tokens")
      ->check(CLI::IsMember(mode_names()));
  command->add_option("--kl-model", options->kl_model, "The same with another model as the reference")
      ->type_name("PATH");
  command->add_option("--documents", options->documents, "Only the first N documents; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  CLI::Option* needle = command->add_flag("--needle", options->has_needle,
                                          "Instead: hide a code word in the text and ask for it, at several depths");
  command->add_option("--needle-tokens", options->needle.filler_tokens, "Lengths of the text around it")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str()
      ->needs(needle);
  command->add_option("--needle-depth", options->needle.depths_percent, "Where it is hidden, percent of the text")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str()
      ->needs(needle);
  command->add_option("--seed", options->needle.seed, "Of the code words")->capture_default_str()->needs(needle);
  command->add_flag("-v,--verbose", options->verbose, "A line for each document");
  command->add_flag("--json", options->json, "One JSON object instead of text");
  command->footer(
      "Examples:\n"
      "  hadal eval ./DeepSeek-V4-Flash heldout.txt\n"
      "  hadal eval ./DeepSeek-V4-Flash heldout.txt --mode fast --kl exact --documents 8\n"
      "  hadal eval ./DeepSeek-V4-Flash book.txt --needle --needle-tokens 4096,65536 --needle-depth 0,50,100");
  command->callback([options, &action] { action = [options] { return eval(*options); }; });
}

}  // namespace hadal::cli
