// hadal: one binary. Parses the command line, runs one subcommand, prints errors in the form of base/result.h.

#include "command_line.h"
#include "terminal/output.h"

int main(int argc, char** argv) {
  CLI::App app("Runs DeepSeek-V4-generation language models on the machine you have.", "hadal");
  hadal::cli::Action action;
  hadal::cli::declare_commands(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    const bool is_bare = argc == 1;
    hadal::write_notice(is_bare ? app.help() : hadal::cli::usage_error(app, error, argc, argv).to_string() + "\n");
    return 2;
  }
  const hadal::Result<int> result = action();
  if (!result.ok()) {
    hadal::write_notice(result.error().to_string() + "\n");
    return 1;
  }
  return *result;
}
