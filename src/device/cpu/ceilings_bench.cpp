// The limits of this machine as the benchmarks of ops see them.
#include "device/cpu/ceilings.h"

#include <benchmark/benchmark.h>

namespace hadal {
namespace {

template <double (*measure)(CpuDevice&)>
void BM_ceiling(benchmark::State& state) {
  CpuDevice cpu({.level = static_cast<CpuLevel>(state.range(0))});
  state.SetLabel(std::string(cpu_level_name(cpu.level())));
  double best = 0;
  for (auto _ : state) best = std::max(best, measure(cpu));
  state.counters["per_second"] = best;
}
BENCHMARK(BM_ceiling<measure_read_bandwidth>)->DenseRange(0, 2)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_ceiling<measure_f32_flops>)->DenseRange(0, 2)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_ceiling<measure_int8_ops>)->DenseRange(0, 2)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_ceiling<measure_bf16_flops>)->DenseRange(0, 2)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace hadal
