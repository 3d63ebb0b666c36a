// Options that every command with a model has, and how a name becomes a loaded model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"

namespace CLI {
class App;
}

namespace hadal::cli {

// What --mode takes.
std::vector<std::string> mode_names();

struct ModelOptions {
  std::string model;  // folder, .safetensors file or name of a pulled model; empty: the embedded model
  std::string mode = "fast";
  std::string device = "cpu";
  std::string cpu;  // "", "portable", "avx2", "avx512"
  std::string kv;   // "", "f32", "bf16", "fp8"
  int threads = 0;
  bool pin = false;
  int64_t context = 0;
  int64_t chunk = 512;

  // Adds MODEL as a positional (optional when has_default) and --mode, --device, --threads, --pin, --context, --chunk,
  // --kv,
  // --cpu.
  void add_to(CLI::App& command, bool has_default);

  // At a terminal, a load that takes its time shows how much is resident.
  Result<std::shared_ptr<const LoadedModel>> load() const;
  // Names translated, which the command line has checked.
  EngineOptions engine_options(const ModelDescription& description) const;
};

}  // namespace hadal::cli
