#include "device/cpu/ceilings.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

#include "device/buffer.h"
#include "device/cpu/ceilings_loops.h"

namespace hadal {
namespace {

// Four times the largest last-level cache that a server of today has per socket in one piece.
constexpr int64_t kReadBufferBytes = int64_t{1} << 30;
// Small enough that a thread that started late costs little, large enough that claiming a task does not show.
constexpr int64_t kReadTaskBytes = int64_t{2} << 20;
// Passes are short and many, so that on a shared machine some run without being interrupted.
constexpr int64_t kReadPassBytes = int64_t{128} << 20;
constexpr int kReadRounds = 5;  // over the whole buffer
constexpr double kComputePassSeconds = 0.002;
constexpr int kComputePasses = 60;

uint64_t read_portable(const std::byte* data, int64_t n_bytes) {
  const auto* words = reinterpret_cast<const uint64_t*>(data);
  std::array<uint64_t, 8> sums{};
  for (int64_t i = 0; i < n_bytes / 8; i += 8) {
    for (int64_t lane = 0; lane < 8; ++lane) sums[static_cast<size_t>(lane)] += words[i + lane];
  }
  uint64_t sum = 0;
  for (const uint64_t s : sums) sum += s;
  return sum;
}

// 32 independent chains: eight SSE registers, or what a compiler makes of them.
constexpr int64_t kPortableChains = 32;

float f32_portable(int64_t n_rounds) {
  std::array<float, kPortableChains> x{};
  for (int64_t i = 0; i < n_rounds; ++i) {
    for (float& v : x) v = v * 0.999f + 0.001f;
  }
  float sum = 0;
  for (const float v : x) sum += v;
  return sum;
}

const CeilingLoops& loops_for(CpuLevel level) {
#if defined(__x86_64__)
  if (level >= CpuLevel::kAvx512) return kCeilingLoopsAvx512;
  if (level >= CpuLevel::kAvx2) return kCeilingLoopsAvx2;
#endif
  static_cast<void>(level);
  return kCeilingLoopsPortable;
}

double seconds_of(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Results land here, so that no loop is without a use.
std::atomic<uint64_t> sink_of_results{0};

double measure_flops(CpuDevice& cpu, float (*loop)(int64_t n_rounds), int64_t flops_per_round) {
  const auto pass = [&](int64_t n_rounds) {
    return seconds_of([&] {
      cpu.pool().run(cpu.pool().size(), [&](int64_t) {
        sink_of_results.fetch_add(static_cast<uint64_t>(loop(n_rounds) > 0), std::memory_order_relaxed);
      });
    });
  };
  // Doubles the rounds until one pass is long enough; those passes also wake the cores up.
  int64_t n_rounds = 1 << 12;
  while (pass(n_rounds) < kComputePassSeconds) n_rounds *= 2;
  double best = 0;
  for (int i = 0; i < kComputePasses; ++i) {
    const double flops = static_cast<double>(n_rounds * flops_per_round) * cpu.pool().size();
    best = std::max(best, flops / pass(n_rounds));
  }
  return best;
}

}  // namespace

const CeilingLoops kCeilingLoopsPortable = {
    .level = CpuLevel::kPortable,
    .read = read_portable,
    .f32 = f32_portable,
    .f32_flops_per_round = 2 * kPortableChains,
    .bf16 = f32_portable,
    .bf16_flops_per_round = 2 * kPortableChains,
};

double measure_read_bandwidth(CpuDevice& cpu) {
  const Result<Buffer> buffer = Buffer::allocate(kReadBufferBytes);
  if (!buffer.ok()) return 0;
  std::byte* data = buffer->data();
  constexpr int64_t kTasks = kReadBufferBytes / kReadTaskBytes;
  // Touched by the threads that will read, and not with zeros: untouched pages share one page of zeros.
  cpu.pool().run(kTasks, [&](int64_t i) { std::fill_n(data + i * kReadTaskBytes, kReadTaskBytes, std::byte{1}); });
  const CeilingLoops& loops = loops_for(cpu.level());
  double best = 0;
  constexpr int64_t kPasses = kReadRounds * (kReadBufferBytes / kReadPassBytes);
  for (int64_t i = 0; i < kPasses; ++i) {
    const std::byte* begin = data + i * kReadPassBytes % kReadBufferBytes;
    const double seconds = seconds_of([&] {
      cpu.pool().run(kReadPassBytes / kReadTaskBytes, [&](int64_t task) {
        sink_of_results.fetch_add(loops.read(begin + task * kReadTaskBytes, kReadTaskBytes), std::memory_order_relaxed);
      });
    });
    best = std::max(best, static_cast<double>(kReadPassBytes) / seconds);
  }
  return best;
}

double measure_f32_flops(CpuDevice& cpu) {
  const CeilingLoops& loops = loops_for(cpu.level());
  return measure_flops(cpu, loops.f32, loops.f32_flops_per_round);
}

double measure_bf16_flops(CpuDevice& cpu) {
  const CeilingLoops& loops = loops_for(cpu.level());
  return measure_flops(cpu, loops.bf16, loops.bf16_flops_per_round);
}

}  // namespace hadal
