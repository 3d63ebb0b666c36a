// hadal doctor: what this machine has, what it can do at best, what will be slow and how to mend it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "clock.h"
#include "commands.h"
#include "device/cpu/ceilings.h"
#include "engine/doctor.h"

namespace hadal::cli {
namespace {

struct Options {
  std::string model;
  int threads = 0;
  bool json = false;
};

// All weight files of a folder, or the one file.
uint64_t weight_file_bytes(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return fs::file_size(path, error);
  uint64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (entry.path().extension() == ".safetensors") bytes += entry.file_size(error);
  }
  return bytes;
}

Result<int> doctor(const Options& options) {
  Examination examination;
  if (!options.model.empty()) {
    HADAL_ASSIGN(examination.disk, measure_disk_read(options.model, {.now_s = now_s}));
    examination.model_bytes = weight_file_bytes(options.model);
  }
  examination.host = host_facts();
  CpuDevice cpu({.n_threads = options.threads, .pin = false, .level = detected_cpu_level()});
  examination.n_threads = cpu.pool().size();
  examination.read_bytes_per_s = measure_read_bandwidth(cpu);
  examination.f32_flops = measure_f32_flops(cpu);
  examination.bf16_flops = measure_bf16_flops(cpu);
  examination.int8_ops = measure_int8_ops(cpu);
  examine_gpus(examination);
  if (options.json) {
    fmt::print("{}\n", json::dump_pretty(examination_to_json(examination)));
  } else {
    fmt::print("{}", examination_text(examination));
  }
  return 0;
}

}  // namespace

void add_doctor_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("doctor", "Say what this machine can do, what will be slow and how to mend it");
  command->add_option("--model", options->model, "Folder of a model: its disk's speed is measured, its size looked at")
      ->type_name("FOLDER");
  command->add_option("-t,--threads", options->threads, "Threads that measure; 0: one per processor")
      ->capture_default_str()
      ->check(CLI::Range(0, 4096));
  command->add_flag("--json", options->json, "One JSON object instead of text");
  command->footer("Examples:\n  hadal doctor --model ./DeepSeek-V4-Flash");
  command->callback([options, &action] { action = [options] { return doctor(*options); }; });
}

}  // namespace hadal::cli
