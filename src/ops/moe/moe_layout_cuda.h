// Where moe on a GPU keeps what passes between its kernels. Plain arithmetic, for the host and the kernels.
//
// A pair is a token with one of its experts: t K + slot for routed ones, T K + t for the shared one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::ops {

// Pairs of one expert that a block computes together.
struct MoeItem {
  int32_t expert;
  int32_t first;  // in MoeGpuLayout::pairs
  int32_t n;
};

// Byte offsets into the scratch memory.
struct MoeGpuLayout {
  static constexpr int64_t kTokensMax = 64;  // of an item; the smallest tile has 8
  static constexpr int64_t kTokensMin = 8;

  int64_t n_pairs;    // shared ones included
  int64_t items_max;  // routed ones

  int64_t hidden;   // [n_pairs, I padded to 64] floats or BF16
  int64_t outputs;  // [n_pairs, C] floats
  int64_t pairs;    // [T K] int32: routed pairs, those of an expert side by side
  int64_t items;    // [items_max] MoeItem
  int64_t n_items;  // int32
  int64_t bytes;

  constexpr MoeGpuLayout(int64_t T, int64_t E, int64_t K, int64_t C, int64_t I)
      : n_pairs(T * (K + 1)), items_max((E < T * K ? E : T * K) + T * K / kTokensMin) {
    const int64_t I_padded = (I + 63) / 64 * 64;
    hidden = 0;
    outputs = aligned(hidden + n_pairs * I_padded * 4);
    pairs = aligned(outputs + n_pairs * C * 4);
    items = aligned(pairs + T * K * 4);
    n_items = aligned(items + items_max * static_cast<int64_t>(sizeof(MoeItem)));
    bytes = aligned(n_items + 4);
  }

 private:
  static constexpr int64_t aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }
};

}  // namespace hadal::ops
