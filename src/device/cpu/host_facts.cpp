#include "device/cpu/host_facts.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "base/io.h"
#include "base/threads.h"

namespace hadal {
namespace {

// As Linux spells them on x86 and Arm.
constexpr std::array<std::string_view, 14> kFeatures = {
    "amx_bf16", "amx_int8", "avx512_bf16", "avx512_vnni", "avx512vbmi", "avx512f", "avx_vnni",
    "avx2",     "fma",      "f16c",        "sve",         "i8mm",       "bf16",    "asimddp"};

constexpr uint64_t kTextBytesMax = 8 << 20;  // cpuinfo of 1,000 processors has 2 MB

std::string text_of(const char* path) {
  Result<std::string> text = read_file(path, kTextBytesMax);
  return text.ok() ? std::move(*text) : std::string();
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1);
}

// The part before the separator; `rest` becomes what is behind it.
std::string_view cut(std::string_view& rest, char separator) {
  const size_t at = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return part;
}

uint64_t limit_of(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return 0;
  return limit.rlim_cur == RLIM_INFINITY ? HostFacts::kUnlimited : limit.rlim_cur;
}

}  // namespace

int count_of_list(std::string_view list) {
  int n = 0;
  list = trimmed(list);
  while (!list.empty()) {
    std::string_view range = cut(list, ',');
    const std::string_view first_text = cut(range, '-');
    int first = 0;
    int last = 0;
    if (std::from_chars(first_text.data(), first_text.data() + first_text.size(), first).ec != std::errc()) return 0;
    last = first;
    if (!range.empty() && std::from_chars(range.data(), range.data() + range.size(), last).ec != std::errc()) return 0;
    n += std::max(0, last - first + 1);
  }
  return n;
}

std::string chosen_in_brackets(std::string_view text) {
  const size_t begin = text.find('[');
  const size_t end = text.find(']', std::min(begin, text.size()));
  if (begin == std::string_view::npos || end == std::string_view::npos) return {};
  return std::string(text.substr(begin + 1, end - begin - 1));
}

std::string cpuinfo_value(std::string_view cpuinfo, std::string_view key) {
  while (!cpuinfo.empty()) {
    std::string_view value = cut(cpuinfo, '\n');
    if (trimmed(cut(value, ':')) == key) return std::string(trimmed(value));
  }
  return {};
}

int cores_of(std::string_view cpuinfo) {
  std::set<std::pair<std::string_view, std::string_view>> cores;
  std::string_view package;
  while (!cpuinfo.empty()) {
    std::string_view value = cut(cpuinfo, '\n');
    const std::string_view key = trimmed(cut(value, ':'));
    if (key == "physical id") package = trimmed(value);
    if (key == "core id") cores.insert({package, trimmed(value)});
  }
  return static_cast<int>(cores.size());
}

std::vector<std::string> features_of(std::string_view cpuinfo) {
  std::string flags = cpuinfo_value(cpuinfo, "flags");
  if (flags.empty()) flags = cpuinfo_value(cpuinfo, "Features");
  std::set<std::string_view> present;
  std::string_view rest = flags;
  while (!rest.empty()) present.insert(cut(rest, ' '));
  std::vector<std::string> features;
  for (const std::string_view feature : kFeatures) {
    if (present.count(feature) > 0) features.emplace_back(feature);
  }
  return features;
}

HostFacts host_facts() {
  const std::string cpuinfo = text_of("/proc/cpuinfo");
  HostFacts facts;
  facts.cpu_name = cpuinfo_value(cpuinfo, "model name");
  facts.cpu_features = features_of(cpuinfo);
  facts.level = detected_cpu_level();
  facts.processors_online = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  facts.processors_usable = available_processors();
  facts.cores = cores_of(cpuinfo);
  facts.has_smt = trimmed(text_of("/sys/devices/system/cpu/smt/active")) == "1";
  facts.numa_nodes = std::max(1, count_of_list(text_of("/sys/devices/system/node/online")));
  facts.memory = host_memory();
  facts.huge_pages = chosen_in_brackets(text_of("/sys/kernel/mm/transparent_hugepage/enabled"));
  facts.open_files_max = limit_of(RLIMIT_NOFILE);
  facts.locked_bytes_max = limit_of(RLIMIT_MEMLOCK);
  return facts;
}

}  // namespace hadal
