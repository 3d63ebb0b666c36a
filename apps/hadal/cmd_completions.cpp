// hadal completions SHELL: a script that teaches the shell this command line.

#include <CLI/CLI.hpp>

#include "commands.h"
#include "completions.h"
#include "terminal/output.h"

namespace hadal::cli {

void add_completions_command(CLI::App& app, Action& action) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completions", "Print a completion script for a shell");
  command->add_option("shell", *shell, "Whose script")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer(
      "`make install` installs all three; this is for everyone else.\n"
      "\n"
      "Examples:\n"
      "  source <(hadal completions bash)                   in ~/.bashrc\n"
      "  hadal completions zsh > ~/.zsh/functions/_hadal    in a folder of $fpath\n"
      "  hadal completions fish > ~/.config/fish/completions/hadal.fish");
  command->callback([shell, &app, &action] {
    action = [shell, &app]() -> Result<int> {
      const ProgramFacts facts = program_facts(app);
      const std::string script = *shell == "bash"  ? bash_completions(facts)
                                 : *shell == "zsh" ? zsh_completions(facts)
                                                   : fish_completions(facts);
      HADAL_TRY(write_output(stdout, script));
      return 0;
    };
  });
}

}  // namespace hadal::cli
