// hadal list: the models that `hadal pull` fetched.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/format.h"
#include "commands.h"
#include "hub/fetch.h"
#include "model_place.h"
#include "pulled_text.h"
#include "terminal/visible_text.h"

namespace hadal::cli {
namespace {

std::string size_text(const hub::PulledModel& model) {
  if (model.is_complete) return format_bytes(model.bytes());
  if (model.files.empty()) return "unknown";
  const uint64_t missing = hub::missing_bytes(model.folder, model.files, hub::kBlockBytes);
  return fmt::format("{} of {}", format_bytes(model.bytes() - missing), format_bytes(model.bytes()));
}

void print_table(const std::vector<hub::PulledModel>& models) {
  size_t width = std::string_view("name").size();
  for (const hub::PulledModel& model : models) width = std::max(width, model.name.text().size());
  fmt::print("{:<{}}  {:<22}  {:<12}  {:<10}  {}\n", "name", width, "size", "commit", "revision", "pulled (UTC)");
  for (const hub::PulledModel& model : models) {
    fmt::print("{:<{}}  {:<22}  {:<12}  {:<10}  {}\n", model.name.text(), width, size_text(model),
               short_commit(model.commit), without_controls(model.name.revision), format_time(model.pulled_unix_s));
  }
}

Result<int> list(bool as_json) {
  HADAL_ASSIGN(const fs::path folder, models_folder());
  const std::vector<hub::PulledModel> models = hub::list_models(folder);
  if (as_json) {
    json::Value value = json::Value::object();
    json::Value& entries = value.set("models", json::Value::array()).members().back().second;
    for (const hub::PulledModel& model : models) entries.push(to_json(model));
    fmt::print("{}\n", json::dump_pretty(value));
  } else if (models.empty()) {
    fmt::print("No models in {}; `hadal pull OWNER/NAME` fetches one.\n", folder.string());
  } else {
    print_table(models);
  }
  return 0;
}

}  // namespace

void add_list_command(CLI::App& app, Action& action) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("list", "List the models that were pulled");
  command->add_flag("--json", *as_json, "One JSON object with exact numbers");
  command->footer(
      "A model that is not here in full shows how much of it is; `hadal pull NAME` fetches the rest.\n"
      "\n"
      "Examples:\n"
      "  hadal list\n"
      "  hadal list --json");
  command->callback([as_json, &action] { action = [as_json] { return list(*as_json); }; });
}

}  // namespace hadal::cli
