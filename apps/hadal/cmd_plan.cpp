// hadal plan MODEL: what would lie where, what it costs, what fits. Allocates nothing.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "commands.h"
#include "device/cpu/ceilings.h"
#include "engine/planning.h"
#include "model_options.h"

namespace hadal::cli {
namespace {

struct Options {
  ModelOptions model;
  std::vector<int64_t> contexts = {0};
  int64_t sequences = 1;
  bool measure = false;
  bool json = false;
};

Result<int> plan(const Options& options) {
  HADAL_ASSIGN(const std::shared_ptr<const LoadedModel> model, options.model.load());
  EngineOptions engine_options = options.model.engine_options(model->description);
  engine_options.sequences = options.sequences;
  HADAL_ASSIGN(const ContextPlans plans, plan_contexts(*model, engine_options, options.contexts));
  double read_bytes_per_s = 0;
  if (options.measure) {
    CpuDevice cpu({.n_threads = engine_options.n_threads,
                   .pin = engine_options.pin,
                   .level = engine_options.cpu_level.value_or(detected_cpu_level())});
    read_bytes_per_s = measure_read_bandwidth(cpu);
  }
  if (options.json) {
    fmt::print("{}\n", json::dump_pretty(context_plans_to_json(plans, read_bytes_per_s)));
  } else {
    fmt::print("{}\n\n{}", model->files.place(), context_plans_table(plans, read_bytes_per_s));
  }
  return 0;
}

}  // namespace

void add_plan_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("plan", "Show what would lie where and what fits; allocates nothing");
  options->model.add_to(*command, true);
  command->remove_option(command->get_option("--context"));
  command->add_option("-c,--context", options->contexts, "Contexts to plan for; 0: 4096 or what the model allows")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--sequences", options->sequences, "Conversations that are open at the same time")
      ->capture_default_str()
      ->check(CLI::Range(1, 65536));
  command->add_flag("--measure", options->measure,
                    "Also measure the memory's bandwidth: how fast decode could be at best");
  command->add_flag("--json", options->json, "One JSON object instead of a table");
  command->footer("Examples:\n  hadal plan ./DeepSeek-V4-Flash --context 4096,65536,1048576 --measure");
  command->callback([options, &action] { action = [options] { return plan(*options); }; });
}

}  // namespace hadal::cli
