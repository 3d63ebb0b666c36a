#include "device/cpu/ceilings.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <utility>

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

// Seconds of n rounds of a loop on every thread.
double compute_seconds(CpuDevice& cpu, float (*loop)(int64_t n_rounds), int64_t n_rounds) {
  return seconds_of([&] {
    cpu.pool().run(cpu.pool().size(), [&](int64_t) {
      sink_of_results.fetch_add(static_cast<uint64_t>(loop(n_rounds) > 0), std::memory_order_relaxed);
    });
  });
}

// Doubles the rounds until one pass is long enough; those passes also wake the cores up.
int64_t rounds_of_a_pass(CpuDevice& cpu, float (*loop)(int64_t n_rounds)) {
  int64_t n_rounds = 1 << 12;
  while (compute_seconds(cpu, loop, n_rounds) < kComputePassSeconds) n_rounds *= 2;
  return n_rounds;
}

double measure_flops(CpuDevice& cpu, float (*loop)(int64_t n_rounds), int64_t flops_per_round) {
  const int64_t n_rounds = rounds_of_a_pass(cpu, loop);
  double best = 0;
  for (int i = 0; i < kComputePasses; ++i) {
    const double flops = static_cast<double>(n_rounds * flops_per_round) * cpu.pool().size();
    best = std::max(best, flops / compute_seconds(cpu, loop, n_rounds));
  }
  return best;
}

// The buffer that read passes go over; empty when the system has no memory for it.
Buffer read_buffer(CpuDevice& cpu) {
  Result<Buffer> buffer = Buffer::allocate(kReadBufferBytes);
  if (!buffer.ok()) return {};
  std::byte* data = buffer->data();
  // Touched by the threads that will read, and not with zeros: untouched pages share one page of zeros.
  cpu.pool().run(kReadBufferBytes / kReadTaskBytes,
                 [&](int64_t i) { std::fill_n(data + i * kReadTaskBytes, kReadTaskBytes, std::byte{1}); });
  return std::move(*buffer);
}

// Seconds of the i-th pass over the buffer.
double read_seconds(CpuDevice& cpu, const CeilingLoops& loops, const Buffer& buffer, int64_t i) {
  const std::byte* begin = buffer.data() + i * kReadPassBytes % kReadBufferBytes;
  return seconds_of([&] {
    cpu.pool().run(kReadPassBytes / kReadTaskBytes, [&](int64_t task) {
      sink_of_results.fetch_add(loops.read(begin + task * kReadTaskBytes, kReadTaskBytes), std::memory_order_relaxed);
    });
  });
}

}  // namespace

const CeilingLoops kCeilingLoopsPortable = {
    .level = CpuLevel::kPortable,
    .read = read_portable,
    .f32 = f32_portable,
    .f32_flops_per_round = 2 * kPortableChains,
    .bf16 = f32_portable,
    .bf16_flops_per_round = 2 * kPortableChains,
    .int8 = f32_portable,
    .int8_ops_per_round = 2 * kPortableChains,
};

double measure_read_bandwidth(CpuDevice& cpu) {
  const Buffer buffer = read_buffer(cpu);
  if (buffer.bytes() == 0) return 0;
  const CeilingLoops& loops = loops_for(cpu.level());
  double best = 0;
  constexpr int64_t kPasses = kReadRounds * (kReadBufferBytes / kReadPassBytes);
  for (int64_t i = 0; i < kPasses; ++i) {
    best = std::max(best, static_cast<double>(kReadPassBytes) / read_seconds(cpu, loops, buffer, i));
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

double measure_int8_ops(CpuDevice& cpu) {
  const CeilingLoops& loops = loops_for(cpu.level());
  return measure_flops(cpu, loops.int8, loops.int8_ops_per_round);
}

LimitProbe::LimitProbe(CpuDevice& cpu, Arithmetic arithmetic)
    : cpu_(cpu), loops_(loops_for(cpu.level())), buffer_(read_buffer(cpu)) {
  if (arithmetic == Arithmetic::kF32) {
    floats_ = compute(loops_.f32, loops_.f32_flops_per_round);
  } else {
    floats_ = compute(loops_.bf16, loops_.bf16_flops_per_round);
    int8_ = compute(loops_.int8, loops_.int8_ops_per_round);
  }
}

LimitProbe::Compute LimitProbe::compute(float (*loop)(int64_t n_rounds), int64_t ops_per_round) const {
  return {.loop = loop, .ops_per_round = ops_per_round, .n_rounds = rounds_of_a_pass(cpu_, loop)};
}

void LimitProbe::pass(Compute& compute) const {
  compute.seconds += compute_seconds(cpu_, compute.loop, compute.n_rounds);
}

void LimitProbe::pass() {
  if (buffer_.bytes() > 0) read_s_ += read_seconds(cpu_, loops_, buffer_, n_passes_);
  pass(*floats_);
  if (int8_) pass(*int8_);
  ++n_passes_;
}

// Operations a second over the passes since the last call.
double LimitProbe::take(std::optional<Compute>& compute, double n_passes) const {
  if (!compute) return 0;
  const double seconds = std::exchange(compute->seconds, 0);
  const auto ops = static_cast<double>(compute->n_rounds * compute->ops_per_round) * cpu_.pool().size();
  return seconds > 0 ? n_passes * ops / seconds : 0;
}

LimitProbe::Limits LimitProbe::take() {
  const auto n = static_cast<double>(std::exchange(n_passes_, 0));
  const double read_s = std::exchange(read_s_, 0);
  return {.bytes_per_s = read_s > 0 ? n * static_cast<double>(kReadPassBytes) / read_s : 0,
          .flops = take(floats_, n),
          .int8_ops = take(int8_, n)};
}

}  // namespace hadal
