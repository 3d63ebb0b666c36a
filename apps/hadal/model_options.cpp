#include "model_options.h"

#include <CLI/CLI.hpp>

#include "embedded_model.h"

namespace hadal::cli {
namespace {

Error unknown_name(std::string_view option, std::string_view want, std::string_view found) {
  return Error{.code = ErrorCode::kInvalid,
               .what = "unknown name for an option",
               .in = std::string(option),
               .want = std::string(want),
               .found = std::string(found),
               .hint = ""};
}

}  // namespace

void ModelOptions::add_to(CLI::App& command, bool has_default) {
  CLI::Option* option = command.add_option("model", model,
                                           "Folder with config.json and .safetensors files, or one .safetensors file" +
                                               std::string(has_default ? "; without it the embedded model" : ""));
  if (!has_default) option->required();
  command
      .add_option("--mode", mode, "Arithmetic: fast, exact (float activations) or published (the release's roundings)")
      ->capture_default_str();
  command.add_option("-t,--threads", threads, "Threads; 0: one per processor")
      ->capture_default_str()
      ->check(CLI::Range(0, 4096));
  command.add_flag("--pin", pin, "Keep each thread on one processor");
  command.add_option("-c,--context", context, "Most tokens of a conversation; 0: 4096 or what the model allows")
      ->capture_default_str();
  command.add_option("--chunk", chunk, "Tokens of the prompt that are computed together")->capture_default_str();
  command.add_option("--kv", kv, "Storage of keys and values: f32, bf16 or fp8; default: the mode's");
  command.add_option("--cpu", cpu, "Kernels: portable, avx2 or avx512; default: the best that this processor has");
}

Result<std::shared_ptr<const LoadedModel>> ModelOptions::load() const {
  if (model.empty()) return LoadedModel::open(embedded_model());
  HADAL_ASSIGN(ModelFiles files, ModelFiles::open(model));
  return LoadedModel::open(std::move(files));
}

Result<EngineOptions> ModelOptions::engine_options(const ModelDescription& description) const {
  EngineOptions options;
  const std::optional<NumericMode> parsed_mode = parse_numeric_mode(mode);
  if (!parsed_mode) return unknown_name("--mode", "fast, exact or published", mode);
  options.mode = *parsed_mode;
  options.n_threads = threads;
  options.pin = pin;
  options.context_tokens = context;
  options.chunk_tokens = chunk;
  if (!cpu.empty()) {
    options.cpu_level = parse_cpu_level(cpu);
    if (!options.cpu_level) return unknown_name("--cpu", "portable, avx2 or avx512", cpu);
  }
  if (!kv.empty()) {
    options.state = default_state_options(description, options.mode);
    if (kv == "f32") {
      options.state->kv_format = ops::KvFormat::kF32;
    } else if (kv == "bf16") {
      options.state->kv_format = ops::KvFormat::kBf16;
    } else if (kv == "fp8") {
      options.state->kv_format = ops::KvFormat::kFp8;
    } else {
      return unknown_name("--kv", "f32, bf16 or fp8", kv);
    }
  }
  return options;
}

}  // namespace hadal::cli
