// hadal compare MODEL [GOLDENS]: is this model, on this machine, what it should be?

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/io.h"
#include "commands.h"
#include "engine/compare.h"
#include "model_options.h"
#include "terminal/style.h"

namespace hadal::cli {
namespace {

constexpr uint64_t kGoldensJsonBytesMax = 16 << 20;

struct Options {
  ModelOptions model;
  std::string goldens;
  std::vector<std::string> prompts;
  bool json = false;
};

void print_table(const CompareReport& report) {
  fmt::print("{:<12} {:<15} {:>9} {:>10} {:>10} {:>8}  {:<4} {}\n", "set", "what", "compared", "worst abs", "worst rel",
             "within", "", "");
  for (const CompareRow& row : report.rows) {
    fmt::print("{:<12} {:<15} {:>9} {:>10.2e} {:>10.2e} {:>7.1f}%  {:<4} {}\n", row.prompt, row.what, row.n,
               row.worst_abs, row.worst_rel, row.share_within * 100, row.pass ? "ok" : "FAIL", row.note);
  }
  fmt::print("\nworst logit {:.2e} (relative {:.2e}), mean KL {:.2e} nats, greedy tokens {}: {}\n", report.worst_abs,
             report.worst_rel, report.kl_mean, report.greedy_equal ? "equal" : "differ", report.pass ? "pass" : "FAIL");
}

Result<int> compare(const Options& options) {
  HADAL_ASSIGN(const std::shared_ptr<const LoadedModel> model, options.model.load());
  CompareOptions compare_options;
  compare_options.engine = options.model.engine_options(model->description);
  compare_options.mode = compare_options.engine.mode;
  compare_options.prompts = options.prompts;
  const fs::path path =
      options.goldens.empty() ? fs::path(options.model.model) / "goldens.safetensors" : fs::path(options.goldens);
  HADAL_ASSIGN(const MappedFile file, MappedFile::open(path));
  const std::string name = path.string();
  HADAL_ASSIGN(const Goldens goldens, Goldens::parse(file.bytes(), name));
  json::Value about;
  const fs::path about_path = fs::path(path).replace_extension(".json");
  if (fs::exists(about_path)) {
    HADAL_ASSIGN(const std::string text, read_file(about_path, kGoldensJsonBytesMax));
    HADAL_ASSIGN(about, json::parse(text, about_path.string()));
  }
  const bool shows_progress = inspect_terminal(STDERR_FILENO).has_motion;
  const auto progress = [&](int64_t done, int64_t of) {
    if (shows_progress) fmt::print(stderr, "\r\033[Kcomparing set {} of {}", done + 1, of);
  };
  const Result<CompareReport> report = compare_with_goldens(model, goldens, about, compare_options, progress);
  if (shows_progress) fmt::print(stderr, "\r\033[K");
  if (!report.ok()) return report.error();
  if (options.json) {
    fmt::print("{}\n", json::dump_pretty(compare_to_json(*report)));
  } else {
    print_table(*report);
  }
  return report->pass ? 0 : 1;
}

}  // namespace

void add_compare_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  options->model.mode = "exact";
  CLI::App* command = app.add_subcommand("compare", "Compare a model with golden vectors");
  options->model.add_to(*command, false);
  command->add_option("goldens", options->goldens, "goldens.safetensors; default: the one in the model's folder")
      ->type_name("FILE");
  command
      ->add_option("--set", options->prompts,
                   "Compare only this set; may be given several times; default: all of the mode")
      ->allow_extra_args(false);
  command->add_flag("--json", options->json, "One JSON object instead of a table");
  command->footer("Examples:\n  hadal compare ./DeepSeek-V4-Flash goldens.safetensors --mode exact");
  command->callback([options, &action] { action = [options] { return compare(*options); }; });
}

}  // namespace hadal::cli
