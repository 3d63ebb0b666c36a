// What this machine can do at best, measured: the limits that speeds are reported as shares of.
//
// `hadal bench`, `hadal doctor` and the benchmarks of ops measure these in the run that they report, because a shared
// or throttled machine has other limits from one minute to the next. Each call takes 0.1 to 2 seconds, uses all threads
// of the device and the widest instructions of its level, and gives the best of several passes.
#pragma once

#include "device/device.h"

namespace hadal {

// Bytes a second read in order from memory: sums over a buffer of 1 GiB, which no cache holds. 0 when the system has no
// memory for the buffer.
double measure_read_bandwidth(CpuDevice& cpu);

// Floating-point operations a second of chained multiply-adds in registers (a multiply-add counts as two), F32.
double measure_f32_flops(CpuDevice& cpu);

// The same for BF16 pairs accumulated in F32. On a level without such instructions it is the F32 figure: BF16 numbers
// are widened there.
double measure_bf16_flops(CpuDevice& cpu);

}  // namespace hadal
