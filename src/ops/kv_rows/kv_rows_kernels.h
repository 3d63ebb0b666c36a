// The row functions of each instruction set, without threads: what kv_rows.cpp chooses from.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/kv_rows/kv_rows.h"

namespace hadal::ops {

inline constexpr int64_t kFp8Block = 64;       // E4M3 codes that share a scale
inline constexpr int64_t kFp8WideBlock = 128;  // the same in V3.2
inline constexpr int kFp8NarrowBlock = 32;     // of V4.1's window rows
inline constexpr int kFp4NarrowBlock = 16;     // of V4.1's entries
inline constexpr int64_t kFp4Block = 32;       // E2M1 codes that share a scale

struct KvRowKernels {
  CpuLevel level;
  void (*round)(KvRounding rounding, float* x, int64_t D, int64_t rope_dim);
  EncodeRow encode;
  DecodeRow decode;
};

// One row of round_rows_reference.
void round_row_reference(KvRounding rounding, float* x, int64_t D, int64_t rope_dim);

#if defined(__x86_64__)
extern const KvRowKernels kKvRowKernelsAvx2;
extern const KvRowKernels kKvRowKernelsAvx512;
#endif

// Widths that the vector versions take; others go to the references. Static: the files of each instruction set compile
// their own copies.
[[maybe_unused]] static bool has_vector_width(KvFormat format, int64_t D, int64_t rope_dim) {
  const bool is_fp8 = format == KvFormat::kFp8 || format == KvFormat::kFp8By128;
  return is_fp8 ? (D - rope_dim) % 16 == 0 && rope_dim % 16 == 0 : D % 32 == 0;
}
[[maybe_unused]] static bool has_vector_width(KvRounding rounding, int64_t D, int64_t rope_dim) {
  return rounding == KvRounding::kE4m3 ? (D - rope_dim) % 16 == 0 : D % 32 == 0;
}

}  // namespace hadal::ops
