// Is this machine set up well for a model? Facts and measurements in, advice out: what will be slow, and how to mend
// it.
//
// Pure: the caller measures. Nothing here changes a setting.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "device/cpu/host_facts.h"
#include "device/disk_speed.h"

namespace hadal {

struct GpuFacts {
  std::string name;
  int compute_capability = 0;  // 90: 9.0
  uint64_t memory_bytes = 0;
  uint64_t available_bytes = 0;
  double read_bytes_per_s = 0;
};

struct Examination {
  HostFacts host;
  int n_threads = 0;            // that measured
  double read_bytes_per_s = 0;  // from memory; 0: there was no memory for the measurement
  double f32_flops = 0;
  double bf16_flops = 0;
  double int8_ops = 0;
  std::optional<DiskSpeed> disk;  // of the model's folder
  uint64_t model_bytes = 0;       // of its weight files; 0: no model was named
  std::vector<GpuFacts> gpus = {};
  std::string no_gpu = {};  // why there is none
};

struct Finding {
  std::string slow;  // what will be slow or fail, with the number that shows it
  std::string mend;  // what to do
};

// Every GPU that --device can name, its memory's bandwidth measured; or why there is none.
void examine_gpus(Examination& examination);

// In the order of their weight; empty when there is nothing to mend.
std::vector<Finding> findings(const Examination& examination);

// Facts, one a line, then the findings.
std::string examination_text(const Examination& examination);
json::Value examination_to_json(const Examination& examination);

}  // namespace hadal
