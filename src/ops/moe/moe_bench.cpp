// Experts in V4-Flash's shapes, FP4 as published, with the FP8 shared expert: a decode step's six of 256 and a prompt's
// twelve tokens for each.
//
// Bytes: every expert that is chosen, once. Operations: 6 C I for each token and expert.
#include "ops/moe/moe.h"

#include <random>

#include "testing/bench.h"
#include "testing/weights.h"

namespace hadal::ops {
namespace {

constexpr int64_t kC = 4096;
constexpr int64_t kI = 2048;
constexpr int64_t kK = 6;

// Arguments: tokens, routed experts (fewer than 256 fit the memory of a small machine), threads.
void BM_moe(benchmark::State& state) {
  const int64_t T = state.range(0);
  const int64_t E = state.range(1);
  CpuDevice& cpu = test::bench_device(static_cast<int>(state.range(2)));
  std::mt19937 random(1);
  std::vector<test::StoredMatrix> matrices;
  const auto expert = [&](DType dtype) {
    const auto matrix = [&](int64_t rows, int64_t cols) {
      matrices.push_back(test::StoredMatrix::random(random, dtype, rows, cols));
      return matrices.back().weight;
    };
    return ExpertWeights{matrix(kI, kC), matrix(kI, kC), matrix(kC, kI)};
  };
  std::vector<ExpertWeights> routed;
  for (int64_t e = 0; e < E; ++e) routed.push_back(expert(DType::kF4E2M1));
  const ExpertWeights shared = expert(DType::kF8E4M3);

  const std::vector<float> x(static_cast<size_t>(T * kC), 0.01f);
  // As the fast mode: 8-bit activations for the FP4 experts, BF16 for the shared one.
  const auto pack = [&](ActivationRounding rounding, std::vector<std::byte>& memory) {
    const RowFormat format = row_format(rounding);
    memory.resize(static_cast<size_t>(packed_rows_bytes(T, 1, kC, format)));
    const PackedRows rows{.format = format, .T = T, .groups = 1, .K = kC, .data = memory.data()};
    pack_rows(cpu, {.x = x.data(), .x_stride = kC, .rounding = rounding, .out = rows});
    return rows;
  };
  std::vector<std::byte> packed;
  std::vector<std::byte> shared_packed;
  const PackedRows in = pack(ActivationRounding::kInt8, packed);
  const PackedRows shared_in = pack(ActivationRounding::kBf16, shared_packed);
  std::vector<int32_t> experts;
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t i = 0; i < kK; ++i) experts.push_back(static_cast<int32_t>((t + i * (E / kK)) % E));
  }
  const std::vector<float> weights(experts.size(), 0.25f);
  std::vector<float> y(static_cast<size_t>(T * kC));
  std::vector<std::byte> scratch(static_cast<size_t>(moe_scratch_bytes(T, kK, kI)));

  const auto of = [](const ExpertWeights& e) {
    return static_cast<double>(e.w1.bytes() + e.w3.bytes() + e.w2.bytes());
  };
  const double n_chosen = static_cast<double>(std::min(E, T * kK));
  test::time_best(
      state, cpu,
      {.bytes = n_chosen * of(routed[0]) + of(shared), .flops = 6.0 * kC * kI * static_cast<double>(T * (kK + 1))},
      [&] {
        moe(cpu, {.x = in,
                  .shared_x = shared_in,
                  .experts = experts.data(),
                  .weights = weights.data(),
                  .routed = routed,
                  .shared = &shared,
                  .T = T,
                  .K = kK,
                  .C = kC,
                  .I = kI,
                  .swiglu_limit = 10,
                  .hidden_rounding = ActivationRounding::kInt8,
                  .shared_hidden_rounding = ActivationRounding::kBf16,
                  .y = y.data(),
                  .scratch = scratch.data()});
      });
}

BENCHMARK(BM_moe)
    ->ArgNames({"T", "experts", "threads"})
    ->Args({1, 24, 1})
    ->Args({1, 24, 2})
    ->Args({48, 24, 2})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace hadal::ops
