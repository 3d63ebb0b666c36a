// What this machine can do at best, measured: the limits that speeds are reported as shares of.
//
// `hadal bench`, `hadal doctor` and the benchmarks of ops measure these in the run that they report, because a shared
// or throttled machine has other limits from one minute to the next. Each call takes 0.1 to 2 seconds, uses all threads
// of the device and the widest instructions of its level, and gives the best of several passes.
#pragma once

#include <optional>

#include "device/buffer.h"
#include "device/device.h"

namespace hadal {

struct CeilingLoops;

// Bytes a second read in order from memory: sums over a buffer of 1 GiB, which no cache holds. 0 when the system has no
// memory for the buffer.
double measure_read_bandwidth(CpuDevice& cpu);

// Floating-point operations a second of chained multiply-adds in registers (a multiply-add counts as two), F32.
double measure_f32_flops(CpuDevice& cpu);

// The same for BF16 pairs accumulated in F32. On a level without such instructions it is the F32 figure: BF16 numbers
// are widened there.
double measure_bf16_flops(CpuDevice& cpu);

// Operations a second of products of 8-bit integers that are summed in 32 bits. On the portable level the F32 figure.
double measure_int8_ops(CpuDevice& cpu);

// The same limits a few milliseconds at a time, between the steps of what is measured against them: a virtual machine
// whose processors are moved about has half its bandwidth from one second to the next.
class LimitProbe {
 public:
  enum class Arithmetic { kF32, kBf16AndInt8 };
  struct Limits {
    double bytes_per_s = 0;  // 0 when the system has no memory for the buffer
    double flops = 0;
    double int8_ops = 0;  // 0 for kF32
  };

  // Allocates and fills 1 GiB. The device must outlive the probe.
  LimitProbe(CpuDevice& cpu, Arithmetic arithmetic);

  // One pass of each kind: 128 MiB and 2 ms for each arithmetic.
  void pass();
  // Means over the passes since the last call.
  Limits take();
  // What the probe adds to the memory of the process.
  uint64_t resident_bytes() const { return buffer_.bytes(); }

 private:
  struct Compute {
    float (*loop)(int64_t n_rounds);
    int64_t ops_per_round;
    int64_t n_rounds;  // in a pass
    double seconds = 0;
  };
  Compute compute(float (*loop)(int64_t n_rounds), int64_t ops_per_round) const;
  void pass(Compute& compute) const;
  double take(std::optional<Compute>& compute, double n_passes) const;

  CpuDevice& cpu_;
  const CeilingLoops& loops_;
  std::optional<Compute> floats_;
  std::optional<Compute> int8_;
  Buffer buffer_;
  int64_t n_passes_ = 0;
  double read_s_ = 0;
};

}  // namespace hadal
