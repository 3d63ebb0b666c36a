// Benchmarks of an op's versions: "OP/VERSION/SHAPE", each by one thread, and by all where the shape is worth it.
//
// Tensors stay where the last iteration left them, as in a decode step: what fits a cache is read from there, so small
// shapes may go beyond the bandwidth of memory. The large ones are a prefill's, which no cache holds.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ops/versions.h"
#include "testing/bench.h"

namespace hadal::test {

// Runs of a task that take 50 microseconds together: reading the clock takes half of one.
template <class Task>
int runs_worth_timing(const Task& task) {
  for (int runs = 1;; runs *= 2) {
    const double begin = seconds_on(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < runs; ++i) task();
    if (seconds_on(CLOCK_THREAD_CPUTIME_ID) - begin > 50e-6) return runs;
  }
}

// make() gives an object that owns the tensors, with `Op op` in it; work is that of one call.
template <class Op, class Make>
void register_op(const std::string& name, const std::string& shape, std::span<const ops::Version<Op>> versions,
                 const Work& work, const Make& make) {
  for (const ops::Version<Op>& version : versions) {
    if (version.level > detected_cpu_level()) continue;
    const std::string full = name + "/" + std::string(cpu_level_name(version.level)) + "/" + shape;
    const auto run = version.run;
    const auto bench = [run, work, make](benchmark::State& state, int n_threads) {
      CpuDevice& cpu = bench_device(n_threads);
      const auto problem = make();
      const int runs = runs_worth_timing([&] { run(cpu, problem.op); });
      const Work timed{.bytes = work.bytes * runs, .flops = work.flops * runs};
      time_best(state, cpu, timed, [&] {
        for (int i = 0; i < runs; ++i) run(cpu, problem.op);
      });
      state.counters["best_us"] = state.counters["best_us"] / runs;
    };
    benchmark::RegisterBenchmark(full.c_str(), [bench](benchmark::State& state) { bench(state, 1); });
    constexpr double kSharedWorkBytes = 4 << 20;
    if (work.bytes < kSharedWorkBytes) continue;
    benchmark::RegisterBenchmark((full + "/all_threads").c_str(),
                                 [bench](benchmark::State& state) { bench(state, 0); });
  }
}

}  // namespace hadal::test
