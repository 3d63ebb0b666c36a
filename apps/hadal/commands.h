// The subcommands: one cmd_NAME.cpp each, which declares its options, calls the layers below and prints.
//
// A command registers itself on the CLI11 app and leaves a function behind that main() runs after parsing. It returns
// the exit code: 0 ok, 1 failed (an Error is printed by main), 2 wrong usage, 130 interrupted.
#pragma once

#include <functional>

#include "base/result.h"

namespace CLI {
class App;
}

namespace hadal::cli {

// The chosen command's work; set by the subcommand's callback.
using Action = std::function<Result<int>()>;

void add_bench_command(CLI::App& app, Action& action);
void add_compare_command(CLI::App& app, Action& action);
void add_completions_command(CLI::App& app, Action& action);
void add_convert_command(CLI::App& app, Action& action);
void add_doctor_command(CLI::App& app, Action& action);
void add_eval_command(CLI::App& app, Action& action);
void add_inspect_command(CLI::App& app, Action& action);
void add_list_command(CLI::App& app, Action& action);
void add_manual_command(CLI::App& app, Action& action);
void add_plan_command(CLI::App& app, Action& action);
void add_pull_command(CLI::App& app, Action& action);
void add_rm_command(CLI::App& app, Action& action);
void add_run_command(CLI::App& app, Action& action);
void add_serve_command(CLI::App& app, Action& action);
void add_synth_command(CLI::App& app, Action& action);

}  // namespace hadal::cli
