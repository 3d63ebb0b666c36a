#include "engine/doctor.h"

#include <fmt/format.h>

#include "base/format.h"
#include "device/cuda/cuda_ceilings.h"

namespace hadal {
namespace {

constexpr double kGiga = 1e9;

// One DDR4 channel gives about 20 GB/s, and a released model reads some GB per token.
constexpr double kSlowMemoryBytesPerS = 20e9;
// A SATA disk gives 0.5 GB/s: five minutes for the 150 GB of V4 Flash. An NVMe disk gives 3 to 14.
constexpr double kSlowDiskBytesPerS = 1e9;
// A wait that nobody minds.
constexpr double kShortLoadSeconds = 10;
// Shards, sockets and saved states; 46 shards in the smallest release.
constexpr uint64_t kOpenFilesMin = 1024;

using Findings = std::vector<Finding>;

void look_at_processor(const HostFacts& host, Findings& found) {
  constexpr const char* kVirtual = "on a virtual machine, pass the host's processor through (for example -cpu host)";
  if (host.level == CpuLevel::kPortable) {
    found.push_back({"this processor has no AVX2: all kernels run as plain C++, many times slower", kVirtual});
  } else if (host.level == CpuLevel::kAvx2) {
    found.push_back({"this processor has no AVX-512 with BF16: long prompts take more than twice the time", kVirtual});
  }
  if (host.processors_usable < host.processors_online) {
    found.push_back(
        {fmt::format("only {} of {} processors may be used", host.processors_usable, host.processors_online),
         "look at taskset, the container's cpuset or the scheduler's allocation"});
  }
  if (host.has_smt && host.cores > 0) {
    found.push_back({fmt::format("{} processors share {} cores: a second thread on a core rarely helps",
                                 host.processors_online, host.cores),
                     fmt::format("try --threads {} --pin, and compare with `hadal bench --threads`", host.cores)});
  }
  if (host.numa_nodes > 1) {
    found.push_back(
        {fmt::format("{} memory nodes: weights that lie on one of them are read at its speed alone", host.numa_nodes),
         "start as: numactl --interleave=all hadal ..."});
  }
}

void look_at_memory(const Examination& e, Findings& found) {
  const HostMemory& memory = e.host.memory;
  if (e.model_bytes > memory.available_bytes && memory.available_bytes > 0) {
    found.push_back(
        {fmt::format(
             "the model is {}, but only {} of memory are available: weights will be read from disk all the time",
             format_bytes(e.model_bytes), format_bytes(memory.available_bytes)),
         "close other programs, choose a smaller model, or add memory; `hadal plan MODEL` has the details"});
  }
  if (e.read_bytes_per_s > 0 && e.read_bytes_per_s < kSlowMemoryBytesPerS) {
    found.push_back(
        {fmt::format("memory is read at {:.1f} GB/s, and decoding is bound by that", e.read_bytes_per_s / kGiga),
         "fill all memory channels; stop what else uses the memory, then run this again"});
  }
  if (e.read_bytes_per_s == 0) {
    found.push_back(
        {"there was not enough memory to measure its bandwidth", "close other programs, then run this again"});
  }
  if (e.host.huge_pages == "never") {
    found.push_back({"huge pages are off: kernels wait for address translation",
                     "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"});
  }
}

void look_at_disk(const Examination& e, Findings& found) {
  if (!e.disk || e.disk->bytes_per_s() >= kSlowDiskBytesPerS || e.disk->bytes == 0) return;
  const double load_s = static_cast<double>(e.model_bytes) / e.disk->bytes_per_s();
  if (e.model_bytes > 0 && load_s < kShortLoadSeconds) return;
  const std::string time = e.model_bytes == 0 ? "" : fmt::format(": the first load takes {}", format_seconds(load_s));
  found.push_back({fmt::format("the model's disk gives {:.2f} GB/s{}", e.disk->bytes_per_s() / kGiga, time),
                   "keep the model on a local NVMe disk"});
}

void look_at_limits(const HostFacts& host, Findings& found) {
  if (host.open_files_max > 0 && host.open_files_max < kOpenFilesMin) {
    found.push_back(
        {fmt::format("only {} files may be open at a time: models of many shards will not load", host.open_files_max),
         fmt::format("ulimit -n {}", kOpenFilesMin)});
  }
}

std::string limit_text(uint64_t limit, bool is_bytes) {
  if (limit == HostFacts::kUnlimited) return "unlimited";
  return is_bytes ? format_bytes(limit) : format_count(limit);
}

json::Value number(uint64_t value) {
  return json::Value::number(static_cast<int64_t>(value));
}

json::Value limit_value(uint64_t limit) {
  return limit == HostFacts::kUnlimited ? json::Value() : number(limit);
}

}  // namespace

void examine_gpus(Examination& e) {
  while (true) {
    Result<std::unique_ptr<CudaDevice>> opened =
        CudaDevice::open({.library = "", .index = static_cast<int>(e.gpus.size())});
    if (!opened.ok()) {
      if (e.gpus.empty()) e.no_gpu = opened.error().what;
      return;
    }
    CudaDevice& gpu = **opened;
    GpuFacts facts{.name = gpu.properties().name,
                   .compute_capability = gpu.properties().compute_capability,
                   .memory_bytes = static_cast<uint64_t>(gpu.properties().memory_bytes)};
    if (const auto left = gpu.memory_left(); left.ok()) facts.available_bytes = static_cast<uint64_t>(left->free_bytes);
    if (const auto speed = measure_read_bandwidth(gpu); speed.ok()) facts.read_bytes_per_s = *speed;
    e.gpus.push_back(std::move(facts));
  }
}

std::vector<Finding> findings(const Examination& e) {
  Findings found;
  look_at_memory(e, found);
  look_at_processor(e.host, found);
  look_at_disk(e, found);
  look_at_limits(e.host, found);
  return found;
}

std::string examination_text(const Examination& e) {
  const HostFacts& host = e.host;
  std::string text;
  const auto line = [&text](std::string_view what, const std::string& value) {
    text += fmt::format("{:<12} {}\n", what, value);
  };
  line("processor", host.cpu_name.empty() ? "not known" : host.cpu_name);
  line("features", host.cpu_features.empty() ? "none of those that kernels use"
                                             : fmt::format("{}", fmt::join(host.cpu_features, " ")));
  line("kernels", std::string(cpu_level_name(host.level)));
  line("cores", fmt::format("{}, {} processors{}, {} usable, {} memory node{}",
                            host.cores > 0 ? std::to_string(host.cores) : "?", host.processors_online,
                            host.has_smt ? " (SMT)" : "", host.processors_usable, host.numa_nodes,
                            host.numa_nodes == 1 ? "" : "s"));
  line("memory", fmt::format("{}, {} available", format_bytes(host.memory.total_bytes),
                             format_bytes(host.memory.available_bytes)));
  line("bandwidth", e.read_bytes_per_s > 0
                        ? fmt::format("{:.1f} GB/s read by {} threads", e.read_bytes_per_s / kGiga, e.n_threads)
                        : "not measured");
  line("arithmetic", fmt::format("{:.0f} GFLOP/s F32, {:.0f} GFLOP/s BF16, {:.0f} Gop/s in 8 bits", e.f32_flops / kGiga,
                                 e.bf16_flops / kGiga, e.int8_ops / kGiga));
  line("huge pages", host.huge_pages.empty() ? "not known" : host.huge_pages);
  line("limits", fmt::format("{} open files, {} of locked memory", limit_text(host.open_files_max, false),
                             limit_text(host.locked_bytes_max, true)));
  if (e.disk) {
    line("disk",
         fmt::format("{:.2f} GB/s{} ({} of {})", e.disk->bytes_per_s() / kGiga,
                     e.disk->is_direct ? "" : ", perhaps from the cache", format_bytes(e.disk->bytes), e.disk->file));
  }
  for (const GpuFacts& gpu : e.gpus) {
    line("GPU", fmt::format("{}, compute capability {}.{}, {}, {} free, {:.0f} GB/s read", gpu.name,
                            gpu.compute_capability / 10, gpu.compute_capability % 10, format_bytes(gpu.memory_bytes),
                            format_bytes(gpu.available_bytes), gpu.read_bytes_per_s / kGiga));
  }
  if (e.gpus.empty()) line("GPU", e.no_gpu.empty() ? "none" : fmt::format("none: {}", e.no_gpu));
  const std::vector<Finding> found = findings(e);
  text += found.empty() ? "\nNothing to mend.\n" : "\n";
  for (const Finding& finding : found) text += fmt::format("slow: {}\nmend: {}\n", finding.slow, finding.mend);
  return text;
}

json::Value examination_to_json(const Examination& e) {
  const HostFacts& host = e.host;
  json::Value features = json::Value::array();
  for (const std::string& feature : host.cpu_features) features.push(json::Value::string(feature));
  json::Value value = json::Value::object();
  value.set("cpu", json::Value::string(host.cpu_name));
  value.set("cpu_features", std::move(features));
  value.set("cpu_level", json::Value::string(cpu_level_name(host.level)));
  value.set("cores", json::Value::number(int64_t{host.cores}));
  value.set("processors_online", json::Value::number(int64_t{host.processors_online}));
  value.set("processors_usable", json::Value::number(int64_t{host.processors_usable}));
  value.set("smt", json::Value::boolean(host.has_smt));
  value.set("numa_nodes", json::Value::number(int64_t{host.numa_nodes}));
  value.set("memory_total_bytes", number(host.memory.total_bytes));
  value.set("memory_available_bytes", number(host.memory.available_bytes));
  value.set("huge_pages", json::Value::string(host.huge_pages));
  value.set("open_files_max", limit_value(host.open_files_max));
  value.set("locked_bytes_max", limit_value(host.locked_bytes_max));
  value.set("threads", json::Value::number(int64_t{e.n_threads}));
  value.set("read_gbps", json::Value::number(e.read_bytes_per_s / kGiga));
  value.set("f32_gflops", json::Value::number(e.f32_flops / kGiga));
  value.set("bf16_gflops", json::Value::number(e.bf16_flops / kGiga));
  value.set("int8_gops", json::Value::number(e.int8_ops / kGiga));
  if (e.disk) {
    json::Value disk = json::Value::object();
    disk.set("file", json::Value::string(e.disk->file));
    disk.set("read_gbps", json::Value::number(e.disk->bytes_per_s() / kGiga));
    disk.set("bytes", number(e.disk->bytes));
    disk.set("is_direct", json::Value::boolean(e.disk->is_direct));
    value.set("disk", std::move(disk));
  }
  json::Value gpus = json::Value::array();
  for (const GpuFacts& gpu : e.gpus) {
    json::Value g = json::Value::object();
    g.set("name", json::Value::string(gpu.name));
    g.set("compute_capability", json::Value::number(int64_t{gpu.compute_capability}));
    g.set("memory_bytes", number(gpu.memory_bytes));
    g.set("available_bytes", number(gpu.available_bytes));
    g.set("read_gbps", json::Value::number(gpu.read_bytes_per_s / kGiga));
    gpus.push(std::move(g));
  }
  value.set("gpus", std::move(gpus));
  json::Value list = json::Value::array();
  for (const Finding& finding : findings(e)) {
    json::Value f = json::Value::object();
    f.set("slow", json::Value::string(finding.slow));
    f.set("mend", json::Value::string(finding.mend));
    list.push(std::move(f));
  }
  value.set("findings", std::move(list));
  return value;
}

}  // namespace hadal
