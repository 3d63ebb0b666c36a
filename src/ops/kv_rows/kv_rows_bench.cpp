// Coding of entries (512 wide, 64 rotary channels), latents (576 wide) and index keys (128 wide), one thread, in cache:
// nanoseconds a row.
#include "ops/kv_rows/kv_rows.h"

#include <random>

#include "testing/bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kRows = 256;  // 512 KiB of floats: the second-level cache

struct Rows {
  Rows(KvFormat row_format, CpuLevel row_level)
      : format(row_format),
        D(format == KvFormat::kFp4        ? 128
          : format == KvFormat::kFp8By128 ? 576
                                          : 512),
        rope_dim(format == KvFormat::kFp4 ? 0 : 64),
        level(row_level) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    x.resize(static_cast<size_t>(kRows * D));
    for (float& v : x) v = normal(random);
    bytes.resize(static_cast<size_t>(kRows * kv_row_bytes(format, D, rope_dim)));
    for (int64_t i = 0; i < kRows; ++i) encode_row(format, x.data() + i * D, D, rope_dim, row(i));
  }
  std::byte* row(int64_t i) { return bytes.data() + i * kv_row_bytes(format, D, rope_dim); }

  KvFormat format;
  int64_t D;
  int64_t rope_dim;
  CpuLevel level;
  std::vector<float> x;
  std::vector<std::byte> bytes;
};

void report(benchmark::State& state, const Rows& rows, std::string_view what) {
  state.counters["ns_per_row"] = state.counters["best_us"] * 1e3 / kRows;
  state.SetLabel(std::string(what) + " " + std::string(kv_format_name(rows.format)) + " " +
                 std::string(cpu_level_name(rows.level)));
}

void BM_decode_row(benchmark::State& state) {
  Rows rows(static_cast<KvFormat>(state.range(0)), static_cast<CpuLevel>(state.range(1)));
  const DecodeRow decode = decode_row_for(rows.level);
  const double bytes = static_cast<double>(rows.bytes.size());
  test::time_best(state, test::bench_device(1), {.bytes = bytes}, [&] {
    for (int64_t i = 0; i < kRows; ++i)
      decode(rows.format, rows.row(i), rows.D, rows.rope_dim, rows.x.data() + i * rows.D);
  });
  report(state, rows, "decode");
}
BENCHMARK(BM_decode_row)->ArgsProduct({{1, 2, 3, 4}, {0, 1, 2}})->Unit(benchmark::kMicrosecond);

void BM_encode_row(benchmark::State& state) {
  Rows rows(static_cast<KvFormat>(state.range(0)), static_cast<CpuLevel>(state.range(1)));
  const EncodeRow encode = encode_row_for(rows.level);
  test::time_best(state, test::bench_device(1), {}, [&] {
    for (int64_t i = 0; i < kRows; ++i)
      encode(rows.format, rows.x.data() + i * rows.D, rows.D, rows.rope_dim, rows.row(i));
  });
  report(state, rows, "encode");
}
BENCHMARK(BM_encode_row)->ArgsProduct({{1, 2, 3, 4}, {0, 1, 2}})->Unit(benchmark::kMicrosecond);

void BM_round_rows(benchmark::State& state) {
  const auto rounding = static_cast<KvRounding>(state.range(0));
  const auto level = static_cast<CpuLevel>(state.range(1));
  Rows rows(rounding == KvRounding::kE4m3 ? KvFormat::kFp8 : KvFormat::kFp4, level);
  CpuDevice& cpu = test::bench_device(1, level);
  test::time_best(state, cpu, {}, [&] {
    round_rows(cpu, {.x = rows.x.data(),
                     .T = kRows,
                     .D = rows.D,
                     .x_stride = rows.D,
                     .rope_dim = rows.rope_dim,
                     .rounding = rounding});
  });
  report(state, rows, "round");
}
BENCHMARK(BM_round_rows)->ArgsProduct({{1, 2, 3}, {0, 1, 2}})->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace hadal::ops
