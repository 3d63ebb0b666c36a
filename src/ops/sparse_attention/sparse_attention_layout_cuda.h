// Where sparse attention on a GPU keeps the parts of a token's rows. Plain arithmetic, for the host and the kernels.
#pragma once

#include <cstdint>

namespace hadal::ops {

inline constexpr int kAttentionSplitRows = 64;    // rows of a part, by their place in the token's list
inline constexpr int kAttentionHeadsOfTile = 16;  // heads of a block: the rows of a tensor-core product

// Tokens up to which the parts of a token run in blocks of their own; beyond, one block walks them, and the scratch
// stays small: 32 tokens with 640 rows, 64 heads and 512 channels take 42 MB.
inline constexpr int64_t kAttentionSplitTokensMax = 32;

// One part of one head: sum of weights and maximum, then D channels.
constexpr int64_t attention_part_floats(int64_t D) {
  return D + 2;
}
constexpr int64_t attention_n_splits(int64_t rows_max) {
  return (rows_max + kAttentionSplitRows - 1) / kAttentionSplitRows;
}

}  // namespace hadal::ops
