#include "model_place.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/format.h"
#include "hub/fetch.h"
#include "hub/store.h"

namespace hadal::cli {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// "./x" and "/x" are meant as paths, whether they are there or not.
bool may_be_name(const std::string& argument) {
  return hub::parse_model_name(argument).ok();
}

Error not_pulled(const std::string& argument) {
  return {
      .code = ErrorCode::kNotFound,
      .what = "no such model",
      .in = argument,
      .want =
          "a folder with config.json and .safetensors files, one .safetensors or .gguf file, or the name of a pulled "
          "model",
      .found = "nothing, neither as a path nor in `hadal list`",
      .hint = fmt::format("`hadal pull {0}` fetches it; `hadal pull {0} --dry-run` says how much that is", argument)};
}

Error not_complete(const std::string& argument, const hub::PulledModel& model) {
  const uint64_t missing = hub::missing_bytes(model.folder, model.files, hub::kBlockBytes);
  return {.code = ErrorCode::kNotFound,
          .what = "the model is not here in full",
          .in = argument,
          .want = format_bytes(model.bytes()),
          .found = format_bytes(model.bytes() - missing),
          .hint = fmt::format("`hadal pull {}` fetches the other {}", argument, format_bytes(missing))};
}

}  // namespace

Result<fs::path> models_folder() {
  const std::pair<const char*, const char*> kPlaces[] = {
      {"HADAL_MODELS", ""}, {"XDG_DATA_HOME", "hadal/models"}, {"HOME", ".local/share/hadal/models"}};
  for (const auto& [variable, below] : kPlaces) {
    const fs::path folder = environment(variable);
    if (folder.is_absolute()) return *below == '\0' ? folder : folder / below;
  }
  return Error{.code = ErrorCode::kInvalid,
               .what = "there is no folder for models",
               .in = "",
               .want = "HADAL_MODELS, XDG_DATA_HOME or HOME as an absolute path",
               .found = "none of them",
               .hint = "HADAL_MODELS=FOLDER hadal ..."};
}

Result<fs::path> find_model_path(const std::string& argument) {
  std::error_code ignored;
  if (argument.empty() || fs::exists(argument, ignored) || !may_be_name(argument)) return fs::path(argument);
  HADAL_ASSIGN(const hub::ModelName name, hub::parse_model_name(argument));
  const Result<fs::path> models = models_folder();
  if (!models.ok()) return not_pulled(argument);
  const std::optional<hub::PulledModel> model = hub::find_model(*models, name);
  if (!model) return not_pulled(argument);
  if (!model->is_complete) return not_complete(argument, *model);
  return hub::path_to_open(*model);
}

}  // namespace hadal::cli
