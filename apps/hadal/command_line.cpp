#include "command_line.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/utf8.h"
#include "command_facts.h"
#include "help_text.h"

namespace hadal::cli {
namespace {

std::string help(const CLI::App* app, std::string /*name*/, CLI::AppFormatMode /*mode*/) {
  const ProgramFacts facts = program_facts(*app);
  return help_text(facts.program, facts.commands);
}

// The first word that is no option.
std::string_view first_word(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] != '-') return argv[i];
  }
  return "";
}

}  // namespace

void declare_commands(CLI::App& app, Action& action) {
  app.set_version_flag("--version", std::string("hadal ") + HADAL_VERSION, "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(1);
  app.formatter_fn(help);  // commands inherit help flag and formatter
  app.footer(
      "`hadal COMMAND --help` and `man hadal-COMMAND` say more about each.\n"
      "\n"
      "Examples:\n"
      "  hadal run                                          chat with the embedded model\n"
      "  hadal run ./DeepSeek-V4-Flash -p 'What is the capital of France?'\n"
      "  hadal pull deepseek-ai/DeepSeek-V4-Flash           fetch a model; then `hadal run` takes its name\n"
      "  hadal plan ./DeepSeek-V4-Flash                     will it fit?");
  add_run_command(app, action);
  add_serve_command(app, action);
  add_pull_command(app, action);
  add_list_command(app, action);
  add_rm_command(app, action);
  add_bench_command(app, action);
  add_eval_command(app, action);
  add_compare_command(app, action);
  add_plan_command(app, action);
  add_inspect_command(app, action);
  add_synth_command(app, action);
  add_convert_command(app, action);
  add_doctor_command(app, action);
  add_completions_command(app, action);
  add_manual_command(app, action);
}

std::string error_text(const Error& error, bool as_json) {
  if (!as_json) return error.to_string() + "\n";
  json::Value fields = json::Value::object();
  fields.set("code", json::Value::string(error_code_name(error.code)));
  fields.set("what", json::Value::string(utf8::sanitize(error.what)));
  fields.set("in", json::Value::string(utf8::sanitize(error.in)));
  fields.set("want", json::Value::string(utf8::sanitize(error.want)));
  fields.set("found", json::Value::string(utf8::sanitize(error.found)));
  fields.set("hint", json::Value::string(utf8::sanitize(error.hint)));
  json::Value value = json::Value::object();
  value.set("error", std::move(fields));
  return json::dump_pretty(value) + "\n";
}

Error usage_error(const CLI::App& app, const CLI::ParseError& error, int argc, const char* const* argv) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  if (!chosen.empty()) {
    const std::string command = "hadal " + chosen.front()->get_name();
    return {.code = ErrorCode::kInvalid,
            .what = "wrong usage",
            .in = command,
            .want = "",
            .found = error.what(),
            .hint = fmt::format("`{} --help` lists its options", command)};
  }
  std::vector<std::string_view> words;
  const ProgramFacts facts = program_facts(app);
  for (const CommandFacts& command : facts.commands) words.push_back(command.word());
  const std::string_view word = first_word(argc, argv);
  return {.code = ErrorCode::kInvalid,
          .what = word.empty() ? "wrong usage" : "no such command",
          .in = "hadal",
          .want = fmt::format("{}", fmt::join(words, ", ")),
          .found = word.empty() ? error.what() : json::excerpt(word),
          .hint = "`hadal --help` says what each does"};
}

}  // namespace hadal::cli
