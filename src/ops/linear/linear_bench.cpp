// Linear layers in V4-Flash's shapes, weights as published: share of read bandwidth for one token, of the BF16 peak for
// many.

#include "ops/linear/linear.h"

#include "testing/bench.h"
#include "testing/weights.h"

namespace hadal::ops {
namespace {

// Arguments: rows, columns, tokens, DType.
void BM_linear(benchmark::State& state) {
  const int64_t rows = state.range(0);
  const int64_t cols = state.range(1);
  const int64_t T = state.range(2);
  CpuDevice& cpu = test::bench_device(2, detected_cpu_level());
  std::mt19937 random(1);
  // Copies beyond the last-level cache, so that one token's weights come from memory as they do in a model.
  std::vector<test::StoredMatrix> matrices;
  const int64_t copies = T == 1 ? (int64_t{256} << 20) / (rows * cols) + 1 : 1;
  for (int64_t i = 0; i < copies; ++i) {
    matrices.push_back(test::StoredMatrix::random(random, static_cast<DType>(state.range(3)), rows, cols));
  }
  std::vector<float> x(static_cast<size_t>(T * cols), 0.5f);
  // As the fast mode rounds in front of this type.
  const ActivationRounding rounding = is_block_type(static_cast<DType>(state.range(3))) ? ActivationRounding::kInt8Lanes
                                      : static_cast<DType>(state.range(3)) == DType::kF4E2M1
                                          ? ActivationRounding::kInt8
                                          : ActivationRounding::kBf16;
  const RowFormat format = row_format(rounding);
  std::vector<std::byte> packed(static_cast<size_t>(packed_rows_bytes(T, 1, cols, format)));
  const PackedRows in{.format = format, .T = T, .groups = 1, .K = cols, .data = packed.data()};
  pack_rows(cpu, {.x = x.data(), .x_stride = cols, .rounding = rounding, .out = in});
  std::vector<float> y(static_cast<size_t>(T * rows));
  size_t next = 0;
  for (auto _ : state) {
    linear(cpu, {.x = in, .w = matrices[next++ % matrices.size()].weight, .y = y.data(), .y_stride = rows});
  }
  const double calls = static_cast<double>(state.iterations());
  state.counters["GB/s"] =
      benchmark::Counter(calls * static_cast<double>(matrices[0].weight.bytes()) * 1e-9, benchmark::Counter::kIsRate);
  state.counters["GFLOP/s"] =
      benchmark::Counter(calls * 2e-9 * static_cast<double>(T * rows * cols), benchmark::Counter::kIsRate);
}

constexpr auto kFp8 = static_cast<int64_t>(DType::kF8E4M3);
constexpr auto kFp4 = static_cast<int64_t>(DType::kF4E2M1);
constexpr auto kBf16 = static_cast<int64_t>(DType::kBF16);
BENCHMARK(BM_linear)
    ->ArgNames({"rows", "cols", "T", "dtype"})
    ->Args({4096, 8192, 1, kFp8})
    ->Args({2048, 4096, 1, kFp4})
    ->Args({16384, 4096, 1, kBf16})
    ->Args({4096, 8192, 512, kFp8})
    ->Args({2048, 4096, 12, kFp4})
    ->Args({2048, 4096, 512, kFp4})
    ->UseRealTime();

// Every block type, one token and many.
void block_types(benchmark::internal::Benchmark* bench) {
  for (const DType dtype : {DType::kQ8_0, DType::kQ4_0, DType::kQ2K, DType::kQ3K, DType::kQ4K, DType::kQ5K, DType::kQ6K,
                            DType::kIQ2XXS, DType::kIQ4XS, DType::kMXFP4}) {
    for (const int64_t T : {1, 512}) bench->Args({2048, 4096, T, static_cast<int64_t>(dtype)});
  }
}
BENCHMARK(BM_linear)
    ->Name("BM_linear_blocks")
    ->ArgNames({"rows", "cols", "T", "dtype"})
    ->Apply(block_types)
    ->UseRealTime();

}  // namespace
}  // namespace hadal::ops
