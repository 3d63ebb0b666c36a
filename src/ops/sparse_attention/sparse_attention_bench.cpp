// Attention in the released geometry, 64 heads of 512 channels, published FP8 entries.
//
// Operations: two multiply-adds for each row, head and channel. Bytes: each row once a token, from memory in decode.
#include "ops/sparse_attention/sparse_attention.h"

#include <cmath>
#include <numeric>
#include <random>

#include "device/buffer.h"
#include "testing/bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kH = 64;
constexpr int64_t kD = 512;
constexpr int64_t kRopeDim = 64;
constexpr int64_t kWindow = 128;
constexpr int64_t kRowsPerPage = 32;

// Arguments: tokens, compressed rows of a token, threads, level.
void BM_sparse_attention(benchmark::State& state) {
  const int64_t T = state.range(0);
  const int64_t n_chosen = state.range(1);
  CpuDevice& cpu = test::bench_device(static_cast<int>(state.range(2)), static_cast<CpuLevel>(state.range(3)));
  // A sparse choice reaches over a context of 64 k tokens; all entries are a choice of all.
  const int64_t n_entries = n_chosen <= 1024 ? 16384 : n_chosen;

  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> q(static_cast<size_t>(T * kH * kD));
  for (float& v : q) v = normal(random);
  const std::vector<float> sink(kH, 0.5f);
  const int64_t row_bytes = kv_row_bytes(KvFormat::kFp8, kD, kRopeDim);
  std::vector<std::byte> window(static_cast<size_t>((T + kWindow) * row_bytes));
  std::vector<std::byte> entries(static_cast<size_t>(n_entries * row_bytes));
  const EncodeRow encode = encode_row_for(detected_cpu_level());
  std::vector<float> x(kD);
  const auto fill = [&](std::vector<std::byte>& rows) {
    for (size_t at = 0; at < rows.size(); at += static_cast<size_t>(row_bytes)) {
      for (float& v : x) v = normal(random);
      encode(KvFormat::kFp8, x.data(), kD, kRopeDim, rows.data() + at);
    }
  };
  fill(window);
  fill(entries);
  std::vector<const std::byte*> pages;
  for (int64_t j = 0; j < n_entries; j += kRowsPerPage) pages.push_back(entries.data() + j * row_bytes);
  std::vector<int32_t> chosen;
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t i = 0; i < n_chosen; ++i) chosen.push_back(static_cast<int32_t>(i * n_entries / n_chosen));
  }
  std::vector<int64_t> window_begin(static_cast<size_t>(T));
  std::iota(window_begin.begin(), window_begin.end(), 0);
  const std::vector<int64_t> window_n(static_cast<size_t>(T), kWindow);
  const std::vector<int64_t> n(static_cast<size_t>(T), n_chosen);
  const int64_t rows_max = kWindow + n_chosen;
  const auto scratch_bytes = sparse_attention_scratch_bytes(cpu.pool().size(), kH, kD, rows_max);
  const Result<Buffer> scratch = Buffer::allocate(static_cast<uint64_t>(scratch_bytes));
  std::vector<float> out(q.size());

  const SparseAttention op = {.q = q.data(),
                              .out = out.data(),
                              .sink = sink.data(),
                              .T = T,
                              .H = kH,
                              .D = kD,
                              .value_dim = kD,
                              .rope_dim = kRopeDim,
                              .scale = static_cast<float>(1.0 / std::sqrt(512.0)),
                              .window = window.data(),
                              .window_row_bytes = row_bytes,
                              .format = KvFormat::kFp8,
                              .window_begin = window_begin.data(),
                              .window_n = window_n.data(),
                              .entries = {.pages = pages.data(),
                                          .rows_per_page = kRowsPerPage,
                                          .offset = 0,
                                          .row_bytes = row_bytes,
                                          .format = KvFormat::kFp8},
                              .chosen = chosen.data(),
                              .chosen_stride = n_chosen,
                              .n_chosen = n.data(),
                              .scratch = scratch->data(),
                              .rows_max = rows_max};
  const auto rows = static_cast<double>(T * rows_max);
  test::time_best(state, cpu, {.bytes = rows * static_cast<double>(row_bytes), .flops = rows * 4 * kH * kD},
                  [&] { sparse_attention(cpu, op); });
  state.SetLabel(std::string(cpu_level_name(cpu.level())));
}
BENCHMARK(BM_sparse_attention)
    ->ArgNames({"T", "entries", "threads", "level"})
    ->ArgsProduct({{1, 64}, {0, 512}, {1, 2}, {1, 2}})
    ->ArgsProduct({{1, 16}, {8192}, {1, 2}, {1, 2}})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(BM_sparse_attention)
    ->ArgNames({"T", "entries", "threads", "level"})
    ->ArgsProduct({{1}, {512}, {1, 2}, {0}})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace hadal::ops
