// What lies where and how much of it: computed before anything is allocated, printed as a table, compared with reality.
//
// Pure arithmetic: everything it needs comes in as numbers, so it is tested without a model.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace hadal {

enum class Tier { kMapped, kRam, kGpu };  // the page cache's copy of the file; memory of our own; that of a GPU

struct PlanInput {
  uint64_t program_bytes = 0;  // code, heap, and whatever else the process holds
  int n_threads = 0;
  uint64_t expert_bytes = 0;        // mapped
  uint64_t engram_table_bytes = 0;  // mapped, a few rows a token
  uint64_t other_weight_bytes = 0;
  uint64_t owned_weight_bytes = 0;    // widened vectors and tables
  uint64_t tokenizer_bytes = 0;       // tables
  uint64_t tokenizer_file_bytes = 0;  // mapped, read once
  uint64_t workspace_bytes = 0;
  uint64_t state_bytes = 0;  // of one sequence at `context_tokens`
  int64_t context_tokens = 0;
  int64_t sequences = 1;
  uint64_t available_bytes = 0;      // RAM that can be had, 0: unknown
  uint64_t data_limit_bytes = 0;     // most that this process may have of its own, 0: no limit
  uint64_t address_limit_bytes = 0;  // and with the mapped files, 0: no limit
  // With a GPU weights, states and workspace lie there; the files are read once.
  bool on_gpu = false;
  uint64_t gpu_weight_bytes = 0;     // what a copy of all weights takes
  uint64_t gpu_available_bytes = 0;  // free there
};

struct PlanRow {
  std::string what;
  Tier tier = Tier::kRam;
  uint64_t bytes = 0;
  std::string note;
};

struct Plan {
  std::vector<PlanRow> rows;
  uint64_t ram_bytes = 0;     // must be had
  uint64_t mapped_bytes = 0;  // may be dropped and read again
  uint64_t gpu_bytes = 0;     // must be had on the GPU
  uint64_t gpu_available_bytes = 0;
  uint64_t available_bytes = 0;
  uint64_t data_limit_bytes = 0;
  uint64_t address_limit_bytes = 0;
  int64_t context_tokens = 0;
  int64_t sequences = 1;

  uint64_t total_bytes() const { return ram_bytes + mapped_bytes; }  // of the host
  // Everything stays in memory; otherwise experts are read from disk again and again.
  bool fits_in_ram() const { return available_bytes == 0 || total_bytes() <= available_bytes; }
  bool fits_on_gpu() const { return gpu_bytes <= gpu_available_bytes; }
  bool fits() const { return fits_in_ram() && fits_on_gpu(); }
};

Plan make_plan(const PlanInput& input);

// OutOfMemory, with what to change and by how much, when even the part that must be had does not fit.
Result<void> check_plan(const Plan& plan);

std::string_view tier_name(Tier tier);  // "file cache", "RAM", "GPU"
std::string plan_table(const Plan& plan);
json::Value plan_to_json(const Plan& plan);

}  // namespace hadal
