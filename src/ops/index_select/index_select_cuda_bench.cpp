// The indexer of V4-Flash on a GPU: 64 heads of 128 over FP4 keys, 512 chosen, at contexts of 128K and 1M positions.

#include "ops/index_select/index_select.h"

#include "testing/cuda_bench.h"

namespace hadal::ops {
namespace {

// Arguments: tokens, visible keys.
void BM_index_select_cuda(benchmark::State& state) {
  const Result<CudaDevice*> opened = test::cuda_device();
  if (!opened.ok()) return state.SkipWithError(opened.error().to_string().c_str());
  CudaDevice& gpu = **opened;
  test::CudaMemory memory(gpu);
  constexpr int64_t H = 64, D = 128, kTopk = 512;
  const int64_t T = state.range(0);
  const int64_t n = state.range(1);
  const int64_t row_bytes = kv_row_bytes(KvFormat::kFp4, D, 0);
  // Random bytes are keys: codes of any kind, scales around 1.
  std::mt19937_64 random(1);
  std::vector<uint8_t> keys(static_cast<size_t>(n * row_bytes));
  for (size_t i = 0; i < keys.size(); ++i) {
    const bool is_scale = static_cast<int64_t>(i) % row_bytes >= D / 2;
    keys[i] = static_cast<uint8_t>(is_scale ? 125 + random() % 4 : random());
  }
  const std::vector<const uint8_t*> pages = {memory.put(keys)};
  const IndexSelect op = {.q = memory.put(test::normal_floats(2, T * H * D)),
                          .w = memory.put(test::normal_floats(3, T * H)),
                          .keys = {.pages = reinterpret_cast<const std::byte* const*>(memory.put(pages)),
                                   .rows_per_page = n,
                                   .row_bytes = row_bytes,
                                   .format = KvFormat::kFp4},
                          .visible = memory.put(std::vector<int64_t>(static_cast<size_t>(T), n)),
                          .chosen = memory.room<int32_t>(T * kTopk),
                          .n_chosen = memory.room<int64_t>(T),
                          .T = T,
                          .H = H,
                          .D = D,
                          .topk = kTopk,
                          .visible_max = n,
                          .scratch = memory.room<std::byte>(index_select_gpu_scratch_bytes(T, n))};
  test::time_on_gpu(state, gpu,
                    {.bytes = static_cast<double>(n * row_bytes), .flops = 2.0 * H * D * static_cast<double>(T * n)}, 8,
                    [&](int) { index_select(gpu, op); });
}

BENCHMARK(BM_index_select_cuda)
    ->Apply(test::gpu_timing)
    ->ArgNames({"T", "keys"})
    ->Args({1, 1024})
    ->Args({1, 32768})
    ->Args({1, 262144})
    ->Args({8, 32768})
    ->Args({256, 32768});

}  // namespace
}  // namespace hadal::ops
