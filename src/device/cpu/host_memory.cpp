#include "device/cpu/host_memory.h"

#include <sys/resource.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "base/io.h"

namespace hadal {
namespace {

// The number behind `key`, or 0.
uint64_t number_behind(const std::string& text, std::string_view key) {
  const size_t at = text.find(key);
  if (at == std::string::npos) return 0;
  const size_t digits = text.find_first_of("0123456789", at);
  if (digits == std::string::npos) return 0;
  uint64_t value = 0;
  std::from_chars(text.data() + digits, text.data() + text.size(), value);
  return value;
}

// From a /proc file: "MemAvailable:   12345 kB".
uint64_t kilobytes_of(const std::string& text, std::string_view key) {
  return number_behind(text, key) * 1024;
}

std::string read_proc(const char* path) {
  // /proc files report size 0: read until the end, but never much.
  Result<std::string> text = read_file(path, 1 << 20);
  return text.ok() ? *text : std::string();
}

std::optional<uint64_t> control_group_number(const char* path) {
  const std::string text = read_proc(path);
  uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  (void)end;
  if (ec != std::errc()) return std::nullopt;  // "max" or no such file
  return value;
}

// Of a control group: what its processes hold, without the file cache, which gives way.
std::optional<uint64_t> control_group_used() {
  const std::optional<uint64_t> current = control_group_number("/sys/fs/cgroup/memory.current");
  if (!current) return std::nullopt;
  const std::string stat = read_proc("/sys/fs/cgroup/memory.stat");
  const uint64_t cache = number_behind(stat, "inactive_file ") + number_behind(stat, "\nactive_file ");
  return *current - std::min(*current, cache);
}

uint64_t process_limit(__rlimit_resource resource) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 0;
  return limit.rlim_cur;
}

}  // namespace

HostMemory host_memory() {
  const std::string info = read_proc("/proc/meminfo");
  HostMemory memory{.total_bytes = kilobytes_of(info, "MemTotal:"),
                    .available_bytes = kilobytes_of(info, "MemAvailable:"),
                    .data_limit_bytes = process_limit(RLIMIT_DATA),
                    .address_limit_bytes = process_limit(RLIMIT_AS)};
  const std::optional<uint64_t> limit = control_group_number("/sys/fs/cgroup/memory.max");
  const std::optional<uint64_t> used = control_group_used();
  if (limit && used) {
    memory.total_bytes = std::min(memory.total_bytes, *limit);
    memory.available_bytes = std::min(memory.available_bytes, *limit - std::min(*limit, *used));
  }
  return memory;
}

uint64_t resident_bytes() {
  return kilobytes_of(read_proc("/proc/self/status"), "VmRSS:");
}

uint64_t resident_anonymous_bytes() {
  return kilobytes_of(read_proc("/proc/self/status"), "RssAnon:");
}

uint64_t peak_resident_bytes() {
  return kilobytes_of(read_proc("/proc/self/status"), "VmHWM:");
}

bool reset_peak_resident_bytes() {
  // proc(5): "5" resets the peak resident set size (Linux 4.0 and later).
  std::FILE* file = std::fopen("/proc/self/clear_refs", "we");
  if (file == nullptr) return false;
  const bool is_written = std::fputs("5", file) >= 0;
  return std::fclose(file) == 0 && is_written;
}

void release_freed_memory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
}

}  // namespace hadal
