// Benchmarks of ops: the best time of many, and the share of the machine's limits that it is.
//
//   CpuDevice& cpu = bench_device(n_threads, level);
//   time_best(state, cpu, {.bytes = ..., .flops = ...}, [&] { rms_norm(cpu, op); });
//
// Limits are measured once per device in the run that reports them (device/cpu/ceilings.h). The best time and the best
// limit are compared, because means on a shared machine say how busy it was. With one thread the time is the
// processor's: waiting for it is not the op's.
#pragma once

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "device/cpu/ceilings.h"

namespace hadal::test {

// A device for as long as the program runs; the same one for the same arguments. 0 threads: one per processor.
inline CpuDevice& bench_device(int n_threads, CpuLevel level = detected_cpu_level()) {
  static std::map<std::pair<int, CpuLevel>, std::unique_ptr<CpuDevice>> devices;
  std::unique_ptr<CpuDevice>& device = devices[{n_threads, level}];
  if (device == nullptr)
    device = std::make_unique<CpuDevice>(CpuDevice::Options{.n_threads = n_threads, .level = level});
  return *device;
}

struct Limits {
  double read_bytes_per_s = 0;
  double f32_flops_per_s = 0;
};

// Of a device as it is, and of its highest level: a slow version is measured against the machine, not against itself.
inline const Limits& bench_limits(CpuDevice& cpu) {
  static std::map<int, Limits> limits;
  Limits& of = limits[cpu.pool().size()];
  if (of.f32_flops_per_s == 0) {
    CpuDevice& best = bench_device(cpu.pool().size());
    of = {.read_bytes_per_s = measure_read_bandwidth(best), .f32_flops_per_s = measure_f32_flops(best)};
  }
  return of;
}

struct Work {
  double bytes = 0;  // read from memory; 0 when the data stays in caches
  double flops = 0;
};

inline double seconds_on(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

template <class Task>
void time_best(benchmark::State& state, CpuDevice& cpu, const Work& work, const Task& task) {
  const Limits& limits = bench_limits(cpu);
  const clockid_t clock = cpu.pool().size() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  task();  // pages touched, caches warm
  double best = std::numeric_limits<double>::infinity();
  for (auto _ : state) {
    const double begin = seconds_on(clock);
    task();
    best = std::min(best, seconds_on(clock) - begin);
  }
  state.counters["best_us"] = best * 1e6;
  if (work.bytes > 0) {
    state.counters["GB/s"] = work.bytes / best * 1e-9;
    state.counters["of_read"] = work.bytes / best / limits.read_bytes_per_s;
  }
  if (work.flops > 0) {
    state.counters["GFLOP/s"] = work.flops / best * 1e-9;
    state.counters["of_f32"] = work.flops / best / limits.f32_flops_per_s;
  }
}

}  // namespace hadal::test
