// Benchmarks of CUDA ops: replays of a recorded graph, so that launches cost what they cost in a decode step, and the
// share of the bandwidth that was measured in the same run.
//
//   time_on_gpu(state, {.bytes = ..., .flops = ...}, n_calls, [&](int call) { linear(gpu, op[call]); });
//
// Calls of one graph use different weights where those would fit the L2 cache otherwise.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <limits>

#include "device/cuda/cuda_ceilings.h"
#include "testing/cuda.h"

namespace hadal::test {

// Of one call.
struct GpuWork {
  double bytes = 0;  // read from memory
  double flops = 0;
};

inline double read_bandwidth_of(CudaDevice& gpu) {
  static const double measured = measure_read_bandwidth(gpu).value();
  return measured;
}

template <class Call>
void time_on_gpu(benchmark::State& state, CudaDevice& gpu, const GpuWork& work, int n_calls, const Call& call) {
  const double limit = read_bandwidth_of(gpu);
  Result<CudaGraph> graph = CudaGraph::record(gpu, [&] {
    for (int i = 0; i < n_calls; ++i) call(i);
  });
  if (!graph.ok()) return state.SkipWithError(graph.error().to_string().c_str());
  double best = std::numeric_limits<double>::infinity();
  bool is_warm = false;
  for (auto _ : state) {
    if (!is_warm) static_cast<void>(graph->launch());
    is_warm = true;
    gpu.api().start_timer(gpu.context());
    static_cast<void>(graph->launch());
    gpu.api().stop_timer(gpu.context());
    float ms = 0;
    gpu.api().elapsed_ms(gpu.context(), &ms);
    const double seconds = static_cast<double>(ms) * 1e-3 / n_calls;
    best = std::min(best, seconds);
    state.SetIterationTime(seconds);
  }
  if (const Result<void> done = gpu.synchronize(); !done.ok()) {
    return state.SkipWithError(done.error().to_string().c_str());
  }
  state.counters["best_us"] = best * 1e6;
  if (work.bytes > 0) {
    state.counters["GB/s"] = work.bytes / best * 1e-9;
    state.counters["of_read"] = work.bytes / best / limit;
  }
  if (work.flops > 0) state.counters["TFLOP/s"] = work.flops / best * 1e-12;
}

// How many copies of `bytes` of weights a graph needs so that none is in a 64 MB cache when its turn comes again.
inline int copies_beyond_cache(int64_t bytes) {
  constexpr int64_t kTogether = int64_t{256} << 20;
  return static_cast<int>(std::clamp<int64_t>(kTogether / bytes, 2, 64));
}

inline void gpu_timing(benchmark::internal::Benchmark* b) {
  b->UseManualTime()->Iterations(12)->Unit(benchmark::kMicrosecond);
}

}  // namespace hadal::test
