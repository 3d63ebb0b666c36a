#include "device/cpu/ceilings.h"

#include <gtest/gtest.h>

#include "device/cpu/ceilings_loops.h"

namespace hadal {
namespace {

std::vector<const CeilingLoops*> supported_loops() {
  std::vector<const CeilingLoops*> loops = {&kCeilingLoopsPortable};
#if defined(__x86_64__)
  if (detected_cpu_level() >= CpuLevel::kAvx2) loops.push_back(&kCeilingLoopsAvx2);
  if (detected_cpu_level() >= CpuLevel::kAvx512) loops.push_back(&kCeilingLoopsAvx512);
#endif
  return loops;
}

TEST(Ceilings, every_read_loop_reads_every_word) {
  alignas(64) uint64_t words[192];
  uint64_t sum = 0;
  for (size_t i = 0; i < 192; ++i) sum += words[i] = i * i * 0x9E3779B97F4A7C15u;
  for (const CeilingLoops* loops : supported_loops()) {
    EXPECT_EQ(loops->read(reinterpret_cast<const std::byte*>(words), sizeof words), sum)
        << cpu_level_name(loops->level);
  }
}

TEST(Ceilings, every_compute_loop_does_its_rounds) {
  for (const CeilingLoops* loops : supported_loops()) {
    // x = 0.999 x + 0.001 goes up to 1, round by round; so do the BF16 sums.
    EXPECT_EQ(loops->f32(0), 0.0f);
    EXPECT_LT(loops->f32(10), loops->f32(1000)) << cpu_level_name(loops->level);
    EXPECT_LT(loops->bf16(10), loops->bf16(1000)) << cpu_level_name(loops->level);
    EXPECT_LT(loops->int8(10), loops->int8(1000)) << cpu_level_name(loops->level);
  }
}

TEST(Ceilings, measured_limits_are_positive) {
  CpuDevice cpu({.n_threads = 2});
  EXPECT_GT(measure_f32_flops(cpu), 0.0);
  EXPECT_GT(measure_bf16_flops(cpu), 0.0);
  EXPECT_GT(measure_int8_ops(cpu), 0.0);
}

TEST(Ceilings, a_probe_gives_the_means_of_its_passes_once) {
  CpuDevice cpu({.n_threads = 1});
  LimitProbe probe(cpu, LimitProbe::Arithmetic::kBf16AndInt8);
  EXPECT_EQ(probe.take().flops, 0.0) << "no pass yet";
  probe.pass();
  probe.pass();
  const LimitProbe::Limits limits = probe.take();
  EXPECT_GT(limits.bytes_per_s, 0.0);
  EXPECT_GT(limits.flops, 0.0);
  EXPECT_GT(limits.int8_ops, 0.0);
  EXPECT_GT(probe.resident_bytes(), 0u);
  EXPECT_EQ(probe.take().bytes_per_s, 0.0) << "taken";
}

}  // namespace
}  // namespace hadal
