// A block of rows of a stored matrix times tokens: what `linear` and `moe` split their work into.
#pragma once

#include "ops/linear/linear.h"

namespace hadal::ops {

// Tokens of a call, one after the other; moe gathers those of one expert.
struct TokenRows {
  RowFormat format = RowFormat::kF32;
  int64_t K = 0;
  const std::byte* const* rows = nullptr;  // [T] packed rows (PackedRows::row)
  int64_t T = 0;
  // Where the caller's thread reads next, as many bytes as this call's rows have; a hint, may be null.
  const std::byte* reads_next = nullptr;
};

// y[t][n] for the rows [row0, row0 + n) of w, into y + t * y_stride + (row - row0). n <= kRowBlockMax; the rows lie
// within one row of scale blocks. Same order as the contract of linear.h says.
using RowBlockKernel = void (*)(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y,
                                int64_t y_stride);

RowBlockKernel row_block_kernel_for(CpuLevel level);

void row_block_reference(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y, int64_t y_stride);
#if defined(__x86_64__)
void row_block_avx2(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y, int64_t y_stride);
void row_block_avx512(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y, int64_t y_stride);
#endif

inline constexpr int64_t kRowBlockMax = 128;

// Rows per task: at most kRowBlockMax, never across scale blocks, several tasks per thread.
int64_t rows_per_task(const Weight& w, int64_t T, int n_threads);

}  // namespace hadal::ops
