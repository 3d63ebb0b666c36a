// The arithmetic of the indexer on one token's prepared query and a block of prepared keys, one set per instruction
// set; index_select_schedule.cpp calls them. A key's score is the same whatever else is in the block.
//
// Lanes are heads: 16 of them to a group, zeros (and weights of zero) behind the last head. No lane is ever added to
// another but at the very end, so a key costs no shuffles.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/cpu/cpu_level.h"

namespace hadal::ops {

inline constexpr int64_t kHeadGroup = 16;
inline constexpr int64_t kIndexBlock = 32;  // channels that share a scale in FP4
// Doubled E2M1 values are the integers -12..12. Keys are kept with 12 added, as the dot products of bytes want one
// unsigned factor; the query's offsets take it away again.
inline constexpr int kKeyBias = 12;

// H is the number of heads rounded up to whole groups.
struct IndexQuery {
  const float* w = nullptr;          // [H]
  const float* values = nullptr;     // [D, H]       float keys
  const int8_t* codes = nullptr;     // [D / 4, H, 4]  FP4 keys: doubled values
  const int32_t* offsets = nullptr;  // [D / 32, H]  FP4 keys: -kKeyBias times the sum of a block's codes
  const float* scales = nullptr;     // [D / 32, H]  FP4 keys: half the scales
};

struct IndexKeys {
  const float* values = nullptr;   // [n, D]       float keys
  const uint8_t* codes = nullptr;  // [n, D]       FP4 keys: doubled values plus kKeyBias
  const float* scales = nullptr;   // [n, D / 32]  FP4 keys: half the scales
};

struct IndexSelectKernels {
  CpuLevel level;
  // A stored FP4 key to codes [D] and scales [D / 32].
  void (*expand_fp4)(const std::byte* row, int64_t D, uint8_t* codes, float* scales);
  // scores[j] for keys [0, n), n >= 1.
  void (*score_f32)(const IndexQuery& query, const IndexKeys& keys, int64_t n, int64_t H, int64_t D, float* scores);
  void (*score_fp4)(const IndexQuery& query, const IndexKeys& keys, int64_t n, int64_t H, int64_t D, float* scores);
};

#if defined(__x86_64__)
extern const IndexSelectKernels kIndexSelectKernelsAvx2;
extern const IndexSelectKernels kIndexSelectKernelsAvx512;
#endif

}  // namespace hadal::ops
