#include "model_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <span>

#include "base/check.h"
#include "clock.h"
#include "device/cpu/host_memory.h"
#include "embedded_model.h"
#include "model_place.h"
#include "terminal/live_progress.h"

namespace hadal::cli {
namespace {

constexpr NumericMode kModes[] = {NumericMode::kFast, NumericMode::kExact, NumericMode::kPublished};
constexpr CpuLevel kCpuLevels[] = {CpuLevel::kPortable, CpuLevel::kAvx2, CpuLevel::kAvx512};
constexpr ops::KvFormat kKvFormats[] = {ops::KvFormat::kF32, ops::KvFormat::kBf16, ops::KvFormat::kFp8};

template <class T>
std::vector<std::string> names_of(std::span<const T> values, std::string_view (*name_of)(T)) {
  std::vector<std::string> names;
  for (const T value : values) names.emplace_back(name_of(value));
  return names;
}

// The command line has checked that the name is one of them.
template <class T>
T named(std::string_view name, std::span<const T> values, std::string_view (*name_of)(T)) {
  for (const T value : values) {
    if (name_of(value) == name) return value;
  }
  HADAL_CHECK(false, "a name that the command line lets through", name);
  return values.front();
}

}  // namespace

std::vector<std::string> mode_names() {
  return names_of<NumericMode>(kModes, numeric_mode_name);
}

void ModelOptions::add_to(CLI::App& command, bool has_default) {
  CLI::Option* option = command.add_option(
      "model", model,
      "Folder with config.json and .safetensors files, one .safetensors or .gguf file, or the name of a model "
      "that `hadal pull` fetched" +
          std::string(has_default ? "; without it the embedded model" : ""));
  option->type_name("PATH");
  if (!has_default) option->required();
  command
      .add_option("--mode", mode, "Arithmetic: exact has float activations, published has the roundings of the release")
      ->capture_default_str()
      ->check(CLI::IsMember(mode_names()));
  const auto check_device = [](const std::string& name) {
    return parse_device(name) ? "" : fmt::format("{} not in {{cpu, cuda, cuda:N}}", name);
  };
  command.add_option("--device", device, "Where to compute: cpu, cuda (an NVIDIA GPU), or cuda:N for the N-th one")
      ->capture_default_str()
      ->type_name("DEVICE")
      ->check(check_device);
  command.add_option("-t,--threads", threads, "Threads; 0: one per processor")
      ->capture_default_str()
      ->check(CLI::Range(0, 4096));
  command.add_flag("--pin", pin, "Keep each thread on one processor");
  command.add_option("-c,--context", context, "Most tokens of a conversation; 0: 4096 or what the model allows")
      ->capture_default_str();
  command.add_option("--chunk", chunk, "Tokens of the prompt that are computed together")->capture_default_str();
  command.add_option("--kv", kv, "Storage of keys and values; default: the mode's")
      ->check(CLI::IsMember(names_of<ops::KvFormat>(kKvFormats, ops::kv_format_name)));
  command.add_option("--cpu", cpu, "Kernels; default: the best that this processor has")
      ->check(CLI::IsMember(names_of<CpuLevel>(kCpuLevels, cpu_level_name)));
}

Result<std::shared_ptr<const LoadedModel>> ModelOptions::load() const {
  if (model.empty()) return LoadedModel::open(embedded_model());
  const LiveProgress progress({.label = "loading"}, inspect_terminal(STDERR_FILENO), now_s, resident_bytes);
  HADAL_ASSIGN(const fs::path path, find_model_path(model));
  HADAL_ASSIGN(ModelFiles files, ModelFiles::open(path));
  HADAL_ASSIGN(std::shared_ptr<const LoadedModel> loaded, LoadedModel::open(std::move(files)));
  if (const int64_t n = loaded->weights.n_skipped_vision(); n > 0) {
    fmt::print(stderr, "note: {} tensors for images are not used: text only\n", n);
  }
  return loaded;
}

EngineOptions ModelOptions::engine_options(const ModelDescription& description) const {
  EngineOptions options;
  options.mode = named<NumericMode>(mode, kModes, numeric_mode_name);
  options.device = parse_device(device).value_or(DeviceChoice());
  options.n_threads = threads;
  options.pin = pin;
  options.context_tokens = context;
  options.chunk_tokens = chunk;
  if (!cpu.empty()) options.cpu_level = named<CpuLevel>(cpu, kCpuLevels, cpu_level_name);
  if (!kv.empty()) {
    options.state = default_state_options(description, options.mode);
    const auto format = named<ops::KvFormat>(kv, kKvFormats, ops::kv_format_name);
    options.state->kv_format = format == ops::KvFormat::kFp8 ? fp8_format(description) : format;
  }
  return options;
}

}  // namespace hadal::cli
