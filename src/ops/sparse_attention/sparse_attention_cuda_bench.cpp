// Attention of V4-Flash on a GPU: 64 heads over 128 window rows and 512 chosen FP8 entries, and over all entries of a
// long context. Bytes: the rows, once; operations: 4 H D a row.

#include "ops/sparse_attention/sparse_attention.h"

#include <numeric>

#include "testing/cuda_bench.h"

namespace hadal::ops {
namespace {

// Arguments: tokens, compressed entries that each sees.
void BM_sparse_attention_cuda(benchmark::State& state) {
  const Result<CudaDevice*> opened = test::cuda_device();
  if (!opened.ok()) return state.SkipWithError(opened.error().to_string().c_str());
  CudaDevice& gpu = **opened;
  test::CudaMemory memory(gpu);
  constexpr int64_t H = 64, D = 512, kRopeDim = 64, kWindow = 128, kEntries = 65536;
  const int64_t T = state.range(0);
  const int64_t n = state.range(1);
  const int64_t row_bytes = kv_row_bytes(KvFormat::kFp8, D, kRopeDim);
  std::vector<std::byte> rows(static_cast<size_t>((kWindow + T + kEntries) * row_bytes));
  const std::vector<float> x = test::normal_floats(1, 64 * D);
  for (int64_t i = 0; i < kWindow + T + kEntries; ++i) {
    encode_row(KvFormat::kFp8, x.data() + i % 64 * D, D, kRopeDim, rows.data() + i * row_bytes);
  }
  const std::byte* stored = memory.put(rows);
  const std::vector<const std::byte*> pages = {stored + (kWindow + T) * row_bytes};
  std::vector<int32_t> chosen;
  std::vector<int64_t> window_begin(static_cast<size_t>(T));
  std::iota(window_begin.begin(), window_begin.end(), 0);
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t i = 0; i < n; ++i) chosen.push_back(static_cast<int32_t>(i * kEntries / n + t % 8));
  }
  const SparseAttention op = {
      .q = memory.put(test::normal_floats(2, T * H * D)),
      .out = memory.room<float>(T * H * D),
      .sink = memory.put(test::normal_floats(3, H)),
      .T = T,
      .H = H,
      .D = D,
      .value_dim = D,
      .rope_dim = kRopeDim,
      .scale = 0.044f,
      .window = stored,
      .window_row_bytes = row_bytes,
      .format = KvFormat::kFp8,
      .window_begin = memory.put(window_begin),
      .window_n = memory.put(std::vector<int64_t>(static_cast<size_t>(T), kWindow)),
      .entries = {.pages = memory.put(pages),
                  .rows_per_page = kEntries,
                  .row_bytes = row_bytes,
                  .format = KvFormat::kFp8},
      .chosen = memory.put(chosen),
      .chosen_stride = n,
      .n_chosen = memory.put(std::vector<int64_t>(static_cast<size_t>(T), n)),
      .scratch = memory.room<std::byte>(sparse_attention_gpu_scratch_bytes(T, H, D, kWindow + n)),
      .rows_max = kWindow + n};
  const auto rows_read = static_cast<double>(T * (kWindow + n));
  test::time_on_gpu(state, gpu, {.bytes = rows_read * static_cast<double>(row_bytes), .flops = 4.0 * H * D * rows_read},
                    8, [&](int) { sparse_attention(gpu, op); });
}

BENCHMARK(BM_sparse_attention_cuda)
    ->Apply(test::gpu_timing)
    ->ArgNames({"T", "entries"})
    ->Args({1, 512})
    ->Args({1, 8192})
    ->Args({8, 512})
    ->Args({64, 512})
    ->Args({512, 512});

}  // namespace
}  // namespace hadal::ops
