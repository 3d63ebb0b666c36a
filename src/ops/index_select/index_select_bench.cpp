// The indexer in the released geometry: 64 heads of 128 channels, 512 chosen, FP4 keys (float keys for comparison).
//
// Operations: a multiply-add for each key, head and channel. FP4 keys are multiplied as integers, so their share of the
// float limit may pass 1. Bytes: each key once.
#include "ops/index_select/index_select.h"

#include <random>

#include "testing/bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kH = 64;
constexpr int64_t kD = 128;
constexpr int64_t kTopk = 512;
constexpr int64_t kRowsPerPage = 32;

// Arguments: tokens, keys, threads, format, level.
void BM_index_select(benchmark::State& state) {
  const int64_t T = state.range(0);
  const int64_t n_keys = state.range(1);
  const auto format = static_cast<KvFormat>(state.range(3));
  CpuDevice& cpu = test::bench_device(static_cast<int>(state.range(2)), static_cast<CpuLevel>(state.range(4)));

  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> q(static_cast<size_t>(T * kH * kD));
  std::vector<float> w(static_cast<size_t>(T * kH));
  for (float& v : q) v = normal(random);
  for (float& v : w) v = normal(random);
  const int64_t row_bytes = kv_row_bytes(format, kD, 0);
  std::vector<std::byte> keys(static_cast<size_t>(n_keys * row_bytes));
  const EncodeRow encode = encode_row_for(detected_cpu_level());
  std::vector<float> x(kD);
  for (int64_t j = 0; j < n_keys; ++j) {
    for (float& v : x) v = normal(random);
    encode(format, x.data(), kD, 0, keys.data() + j * row_bytes);
  }
  std::vector<const std::byte*> pages;
  for (int64_t j = 0; j < n_keys; j += kRowsPerPage) pages.push_back(keys.data() + j * row_bytes);
  const std::vector<int64_t> visible(static_cast<size_t>(T), n_keys);
  std::vector<int32_t> chosen(static_cast<size_t>(T * kTopk));
  std::vector<int64_t> n_chosen(static_cast<size_t>(T));

  const IndexSelect op = {.q = q.data(),
                          .w = w.data(),
                          .keys = {.pages = pages.data(),
                                   .rows_per_page = kRowsPerPage,
                                   .offset = 0,
                                   .row_bytes = row_bytes,
                                   .format = format},
                          .visible = visible.data(),
                          .chosen = chosen.data(),
                          .n_chosen = n_chosen.data(),
                          .scores = nullptr,
                          .scores_stride = 0,
                          .T = T,
                          .H = kH,
                          .D = kD,
                          .topk = kTopk};
  const auto n = static_cast<double>(T * n_keys);
  test::time_best(state, cpu, {.bytes = n * static_cast<double>(row_bytes), .flops = n * 2 * kH * kD},
                  [&] { index_select(cpu, op); });
  state.SetLabel(std::string(cpu_level_name(cpu.level())) + " " + std::string(kv_format_name(format)));
}
BENCHMARK(BM_index_select)
    ->ArgNames({"T", "keys", "threads", "format", "level"})
    ->ArgsProduct({{1}, {2048, 16384, 262144}, {1, 2}, {3}, {1, 2}})
    ->ArgsProduct({{64}, {4096}, {1, 2}, {3}, {1, 2}})
    ->ArgsProduct({{1, 64}, {4096}, {1}, {0}, {1, 2}})
    ->ArgsProduct({{1}, {2048}, {1}, {3}, {0}})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace hadal::ops
