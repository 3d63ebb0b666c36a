// The tensor-core product of all kernels here: mma.sync m16n8k16, BF16 x BF16 -> F32, on every GPU from Ampere on.
//
// c[16, 8] += a[16, 16] b[16, 8]. With g = lane / 4 and i = lane % 4, a lane holds
//
//   a[0] row g, k 2i, 2i + 1        a[1] row g + 8, the same k     a[2], a[3] the same rows, k 2i + 8, 2i + 9
//   b[0] column g, k 2i, 2i + 1     b[1] column g, k 2i + 8, 2i + 9
//   c[0], c[1] row g, columns 2i, 2i + 1                           c[2], c[3] row g + 8
//
// A column's sum does not depend on the other columns: the tests compare one token with many, bit for bit.
#pragma once

#include <cstdint>

namespace hadal::ops {

__device__ inline void mma_bf16(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

}  // namespace hadal::ops
