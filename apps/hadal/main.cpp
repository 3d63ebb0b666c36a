// hadal: one binary. Parses the command line, runs one subcommand, prints errors in the form of base/result.h.

#include <CLI/CLI.hpp>

#include "commands.h"
#include "terminal/output.h"

int main(int argc, char** argv) {
  CLI::App app("Runs DeepSeek-V4-generation language models on the machine you have.", "hadal");
  app.set_version_flag("--version", std::string("hadal ") + HADAL_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  hadal::cli::Action action;
  hadal::cli::add_run_command(app, action);
  hadal::cli::add_bench_command(app, action);
  hadal::cli::add_eval_command(app, action);
  hadal::cli::add_compare_command(app, action);
  hadal::cli::add_plan_command(app, action);
  hadal::cli::add_inspect_command(app, action);
  hadal::cli::add_synth_command(app, action);
  hadal::cli::add_doctor_command(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" of code 0; everything else is wrong usage.
    return app.exit(error) == 0 ? 0 : 2;
  }
  const hadal::Result<int> result = action();
  if (!result.ok()) {
    hadal::write_notice(result.error().to_string() + "\n");
    return 1;
  }
  return *result;
}
