// What kind of host this is, as far as speed depends on it: processor, cores, memory nodes, huge pages, limits.
//
// From /proc and /sys. What cannot be read is left at "not known" (zero, empty), never an error. The parsers take the
// files' texts, so that they are tested without the machine that wrote them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "device/cpu/cpu_level.h"
#include "device/cpu/host_memory.h"

namespace hadal {

struct HostFacts {
  std::string cpu_name;                   // "AMD EPYC 9654 96-Core Processor"
  std::vector<std::string> cpu_features;  // of those that kernels could use, as the system spells them
  CpuLevel level = CpuLevel::kPortable;   // of the kernels that run
  int processors_online = 0;
  int processors_usable = 0;  // by this process
  int cores = 0;              // 0: not known
  bool has_smt = false;       // several processors share a core
  int numa_nodes = 1;
  HostMemory memory;
  std::string huge_pages;       // "always", "madvise", "never"; empty: not known
  uint64_t open_files_max = 0;  // of this process; kUnlimited
  uint64_t locked_bytes_max = 0;

  static constexpr uint64_t kUnlimited = ~uint64_t{0};
};

HostFacts host_facts();

// "0-3,8" -> 5; 0 when it is no such list.
int count_of_list(std::string_view list);
// "always [madvise] never" -> "madvise".
std::string chosen_in_brackets(std::string_view text);
// The value of the first line "key : value" of /proc/cpuinfo.
std::string cpuinfo_value(std::string_view cpuinfo, std::string_view key);
// Different cores: pairs of "physical id" and "core id". 0 when cpuinfo does not tell.
int cores_of(std::string_view cpuinfo);
// Those of the flags line that matter, in order of importance.
std::vector<std::string> features_of(std::string_view cpuinfo);

}  // namespace hadal
