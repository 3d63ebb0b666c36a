// V4-Flash's experts on a GPU, FP4 as published with the FP8 shared expert, BF16 activations: decode steps of 1, 8 and
// 64 tokens and a prompt's chunk.

#include <numeric>

#include "ops/moe/moe.h"
#include "testing/cuda_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kE = 256;
constexpr int64_t kK = 6;
constexpr int64_t kC = 4096;
constexpr int64_t kI = 2048;

// A layer's experts: 3.4 GB.
struct Layer {
  std::vector<ExpertWeights> routed;
  const ExpertWeights* routed_on_gpu;
  ExpertWeights shared;
};

Layer make_layer(test::CudaMemory& memory) {
  const auto expert = [&](DType dtype, uint64_t seed) {
    return ExpertWeights{memory.put(test::QuickMatrix(seed, dtype, kI, kC).weight),
                         memory.put(test::QuickMatrix(seed + 1, dtype, kI, kC).weight),
                         memory.put(test::QuickMatrix(seed + 2, dtype, kC, kI).weight)};
  };
  Layer layer;
  for (uint64_t e = 0; e < kE; ++e) layer.routed.push_back(expert(DType::kF4E2M1, 3 * e));
  layer.routed_on_gpu = memory.put(layer.routed);
  layer.shared = expert(DType::kF8E4M3, 1000);
  return layer;
}

// Argument: tokens.
void BM_moe_cuda(benchmark::State& state) {
  const Result<CudaDevice*> opened = test::cuda_device();
  if (!opened.ok()) return state.SkipWithError(opened.error().to_string().c_str());
  CudaDevice& gpu = **opened;
  static test::CudaMemory weights_memory(gpu);
  static const Layer layer = make_layer(weights_memory);
  test::CudaMemory memory(gpu);
  const int64_t T = state.range(0);

  const PackedRows x = {.format = RowFormat::kBf16,
                        .T = T,
                        .groups = 1,
                        .K = kC,
                        .data = memory.room<std::byte>(packed_rows_bytes(T, 1, kC, RowFormat::kBf16))};
  pack_rows(gpu, {.x = memory.put(test::normal_floats(1, T * kC)),
                  .x_stride = kC,
                  .rounding = ActivationRounding::kBf16,
                  .out = x});
  // Each call chooses anew, as layers do.
  const int n_calls = T <= 8 ? 16 : 4;
  std::mt19937 random(1);
  std::vector<int32_t> all(kE);
  std::iota(all.begin(), all.end(), 0);
  std::vector<const int32_t*> experts;
  double n_distinct = 0;
  for (int call = 0; call < n_calls; ++call) {
    std::vector<int32_t> chosen;
    std::vector<bool> is_read(kE);
    for (int64_t t = 0; t < T; ++t) {
      std::shuffle(all.begin(), all.end(), random);
      std::sort(all.begin(), all.begin() + kK);
      chosen.insert(chosen.end(), all.begin(), all.begin() + kK);
      for (int64_t i = 0; i < kK; ++i) is_read[static_cast<size_t>(all[static_cast<size_t>(i)])] = true;
    }
    experts.push_back(memory.put(chosen));
    n_distinct += static_cast<double>(std::count(is_read.begin(), is_read.end(), true)) / n_calls;
  }
  const auto* router_weights = memory.put(std::vector<float>(static_cast<size_t>(T * kK), 0.25f));
  auto* y = memory.room<float>(T * kC);
  auto* scratch = memory.room<std::byte>(moe_gpu_scratch_bytes(T, kE, kK, kC, kI));
  const auto bytes_of = [](const ExpertWeights& e) {
    return static_cast<double>(e.w1.bytes() + e.w3.bytes() + e.w2.bytes());
  };
  test::time_on_gpu(state, gpu,
                    {.bytes = n_distinct * bytes_of(layer.routed[0]) + bytes_of(layer.shared),
                     .flops = 6.0 * kC * kI * static_cast<double>(T * (kK + 1))},
                    n_calls, [&](int call) {
                      moe(gpu, {.x = x,
                                .shared_x = x,
                                .experts = experts[static_cast<size_t>(call)],
                                .weights = router_weights,
                                .routed = layer.routed,
                                .routed_on_gpu = layer.routed_on_gpu,
                                .shared = &layer.shared,
                                .T = T,
                                .K = kK,
                                .C = kC,
                                .I = kI,
                                .swiglu_limit = 10,
                                .hidden_rounding = ActivationRounding::kBf16,
                                .shared_hidden_rounding = ActivationRounding::kBf16,
                                .y = y,
                                .scratch = scratch});
                    });
}

BENCHMARK(BM_moe_cuda)->Apply(test::gpu_timing)->ArgNames({"T"})->Arg(1)->Arg(8)->Arg(64)->Arg(512)->Arg(4096);

}  // namespace
}  // namespace hadal::ops
