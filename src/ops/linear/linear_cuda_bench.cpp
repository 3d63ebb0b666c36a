// Linear layers on a GPU in V4-Flash's shapes, weights as published, BF16 activations unless said: share of the read
// bandwidth for few tokens, TFLOP/s for many.

#include "ops/linear/linear.h"
#include "testing/cuda_bench.h"

namespace hadal::ops {
namespace {

// Arguments: rows, columns, tokens, DType, 1 for float activations.
void BM_linear_cuda(benchmark::State& state) {
  const Result<CudaDevice*> opened = test::cuda_device();
  if (!opened.ok()) return state.SkipWithError(opened.error().to_string().c_str());
  CudaDevice& gpu = **opened;
  test::CudaMemory memory(gpu);
  const int64_t rows = state.range(0);
  const int64_t cols = state.range(1);
  const int64_t T = state.range(2);
  const auto rounding = state.range(4) != 0 ? ActivationRounding::kNone : ActivationRounding::kBf16;
  const RowFormat format = row_format(rounding);

  const test::QuickMatrix matrix(1, static_cast<DType>(state.range(3)), rows, cols);
  const int copies = test::copies_beyond_cache(matrix.weight.bytes());
  std::vector<Weight> weights;
  for (int i = 0; i < copies; ++i) weights.push_back(memory.put(matrix.weight));
  const float* x = memory.put(test::normal_floats(2, T * cols));
  const PackedRows packed = {.format = format,
                             .T = T,
                             .groups = 1,
                             .K = cols,
                             .data = memory.room<std::byte>(packed_rows_bytes(T, 1, cols, format))};
  pack_rows(gpu, {.x = x, .x_stride = cols, .rounding = rounding, .out = packed});
  auto* y = memory.room<float>(T * rows);
  test::time_on_gpu(state, gpu,
                    {.bytes = static_cast<double>(matrix.weight.bytes()),
                     .flops = 2.0 * static_cast<double>(T) * static_cast<double>(rows) * static_cast<double>(cols)},
                    copies, [&](int i) {
                      linear(gpu, {.x = packed, .w = weights[static_cast<size_t>(i)], .y = y, .y_stride = rows});
                    });
}

constexpr auto kFp8 = static_cast<int64_t>(DType::kF8E4M3);
constexpr auto kFp4 = static_cast<int64_t>(DType::kF4E2M1);
constexpr auto kBf16 = static_cast<int64_t>(DType::kBF16);
constexpr auto kF32 = static_cast<int64_t>(DType::kF32);
BENCHMARK(BM_linear_cuda)
    ->Apply(test::gpu_timing)
    ->ArgNames({"rows", "cols", "T", "dtype", "f32"})
    ->Args({1024, 4096, 1, kFp8, 0})   // wq_a
    ->Args({512, 4096, 1, kFp8, 0})    // wkv
    ->Args({32768, 1024, 1, kFp8, 0})  // wq_b
    ->Args({8192, 4096, 1, kFp8, 0})   // wo_a's size
    ->Args({4096, 8192, 1, kFp8, 0})   // wo_b
    ->Args({131072, 8192, 1, kFp4, 0})
    ->Args({16384, 8192, 1, kFp4, 0})  //
    ->Args({129280, 4096, 1, kFp8, 0})
    ->Args({129280, 4096, 1, kBf16, 0})  // head
    ->Args({256, 4096, 1, kBf16, 1})     // router
    ->Args({24, 16384, 1, kF32, 1})      // mHC's mixes
    ->Args({4096, 8192, 1, kFp8, 1})     // exact mode
    ->Args({4096, 8192, 8, kFp8, 0})
    ->Args({4096, 8192, 64, kFp8, 0})
    ->Args({32768, 1024, 64, kFp8, 0})
    ->Args({4096, 8192, 512, kFp8, 0})
    ->Args({4096, 8192, 4096, kFp8, 0});

}  // namespace
}  // namespace hadal::ops
