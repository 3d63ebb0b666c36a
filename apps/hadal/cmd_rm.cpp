// hadal rm NAME: remove a pulled model.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "base/format.h"
#include "commands.h"
#include "model_place.h"
#include "pulled_text.h"
#include "terminal/output.h"

namespace hadal::cli {
namespace {

struct Options {
  std::string name;
  bool yes = false;
  bool json = false;
};

std::string title(const hub::PulledModel& model) {
  return fmt::format("{} at {} ({})", model.name.text(), short_commit(model.commit), format_bytes(model.bytes()));
}

// Who does not answer with a y keeps the model.
Result<bool> is_confirmed(const Options& options, const hub::PulledModel& model) {
  if (options.yes) return true;
  if (::isatty(STDIN_FILENO) == 0) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "nobody can be asked whether to remove it",
                 .in = title(model),
                 .want = "a terminal, or --yes",
                 .found = "standard input is no terminal",
                 .hint = "--yes removes it without asking"};
  }
  write_notice(fmt::format("Remove {}? [y/N] ", title(model)));
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Result<int> remove(const Options& options) {
  HADAL_ASSIGN(const hub::ModelName name, hub::parse_model_name(options.name));
  HADAL_ASSIGN(const fs::path models, models_folder());
  const std::optional<hub::PulledModel> model = hub::find_model(models, name);
  if (!model) {
    return Error{.code = ErrorCode::kNotFound,
                 .what = "no such model was pulled",
                 .in = options.name,
                 .want = "one of `hadal list`",
                 .found = "nothing of that name in " + models.string(),
                 .hint = ""};
  }
  HADAL_ASSIGN(const bool is_wanted, is_confirmed(options, *model));
  if (!is_wanted) {
    write_notice("Nothing is removed.\n");
    return 1;
  }
  HADAL_ASSIGN(const hub::ModelLock lock, hub::ModelLock::take(models, name));
  json::Value removed = to_json(*model);
  HADAL_TRY(hub::remove_model(models, *model));
  if (options.json) {
    fmt::print("{}\n", json::dump_pretty(removed));
  } else {
    fmt::print("Removed {}.\n", title(*model));
  }
  return 0;
}

}  // namespace

void add_rm_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("rm", "Remove a model that was pulled");
  command
      ->add_option("name", options->name, "OWNER/NAME: the newest revision that is here; OWNER/NAME@REVISION: that one")
      ->type_name("NAME")
      ->required();
  command->add_flag("-y,--yes", options->yes, "Do not ask");
  command->add_flag("--json", options->json, "One JSON object about what was removed");
  command->footer(
      "Asks first, at a terminal; elsewhere --yes is needed. Only folders of Hadal's are removed, and no link is "
      "followed.\n"
      "\n"
      "Examples:\n"
      "  hadal rm deepseek-ai/DeepSeek-V4-Flash\n"
      "  hadal rm deepseek-ai/DeepSeek-V4-Flash@0123456789ab --yes");
  command->callback([options, &action] { action = [options] { return remove(*options); }; });
}

}  // namespace hadal::cli
