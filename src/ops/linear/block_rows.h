// Rows of GGUF's block types times tokens, for the kernels of linear_kernels.h.
//
// Float and BF16 activations: a few rows are decoded at a time and then are F32 rows, with the order and the accuracy
// of those (linear.h). 8-bit activations: integer products, order as in int8_lanes.h; the same bits on every
// instruction set.
#pragma once

#include "ops/linear/linear_kernels.h"

namespace hadal::ops {

// `row_block` is the kernel of the instruction set, which is called with F32 rows.
void decoded_row_block(RowBlockKernel row_block, const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y,
                       int64_t y_stride);

#if defined(__x86_64__)
// x.rows point to Int8Lanes.
void int8_lanes_row_block_avx2(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y,
                               int64_t y_stride);
void int8_lanes_row_block_avx512(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y,
                                 int64_t y_stride);
// pack_int8_lanes of 256 channels, same bits.
void pack_int8_lanes_avx512(const float* x, struct Int8Lanes& out);
#endif

}  // namespace hadal::ops
