// The inner product of linear and moe: y[t, n] = sum_k x[t, k] w[n, k] for a tile of rows n and some tokens t, by one
// block of 8 warps. Two engines with one interface:
//
//   MmaTile   BF16 activations on tensor cores; BF16, FP8 (128 columns a scale) and FP4 weights
//   LaneTile  activations of either format in float arithmetic; every stored dtype
//
// Order, the same for any number of tokens: columns in units of 128, units in 8 parts of equal size (a warp each), the
// parts added ascending. Inside a part MmaTile chains tensor-core products over k; for FP8 those of a unit, times its
// scale, units ascending. LaneTile chains 4 columns of a unit a lane, units ascending, then warp_sum.
#pragma once

#include "ops/cuda_launch.cuh"
#include "ops/cuda_mma.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/cuda_weights.cuh"
#include "ops/linear/bf16_codecs.cuh"
#include "ops/linear/linear.h"

namespace hadal::ops {

inline constexpr int kTileWarps = 8;
inline constexpr int kTileThreads = kTileWarps * kWarp;
inline constexpr int kUnit = 128;  // columns

__device__ inline int64_t packed_row_bytes(int64_t K, RowFormat format) {
  return (K + 63) / 64 * 64 * (format == RowFormat::kF32 ? 4 : 2);
}

// The tokens of a tile: rows of packed activations.
struct TileTokens {
  const std::byte* x = nullptr;
  int64_t stride_bytes = 0;
  RowFormat format = RowFormat::kBf16;
  // Token i is row rows[i] / divisor, or row i when rows is null.
  const int32_t* rows = nullptr;
  int divisor = 1;
  int n = 0;

  __device__ const std::byte* token(int i) const {
    return x + (rows != nullptr ? rows[i] / divisor : i) * stride_bytes;
  }
};

// What a warp sums: units [begin, end).
struct Part {
  int begin;
  int end;
};
__device__ inline Part part_of_warp(int64_t K) {
  const int units = static_cast<int>((K + kUnit - 1) / kUnit);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  return {warp * units / kTileWarps, (warp + 1) * units / kTileWarps};
}

// --- tensor cores ----------------------------------------------------------------------------------------------------

// 16 rows, 8 kColumns tokens.
template <int kColumns>
struct MmaTile {
  static constexpr int kRows = 16;
  static constexpr int kTokens = 8 * kColumns;
  // One token lives on loads in flight: 24 warps a multiprocessor, 80 registers each.
  static constexpr int kBlocksMin = kColumns == 1 ? 3 : 1;
  static constexpr bool kBeginsWithWeights = false;
  struct Shared {
    float parts[kTileWarps][kTokens][kRows + 1];  // + 1: the 8 rows of a store fall into different banks
  };
  using Sums = float[kColumns][4];
  static size_t staged_bytes(int64_t) { return 0; }  // of dynamic shared memory; StagedTile has some

  // store(row, token, sum) for every row of the matrix in [row0, row0 + 16) and every token, each by one thread. Ends
  // with a barrier, so that `shared` may be used again.
  template <class Store>
  __device__ static void run(const Weight& w, int64_t row0, const TileTokens& tokens, Shared& shared,
                             const Store& store) {
    Sums sums{};
    const Part part = part_of_warp(w.cols);
    switch (w.dtype) {
      case DType::kBF16:
        sum_part<Bf16Codec, 1>(w, row0, tokens, part, sums);
        break;
      case DType::kF8E4M3:
        sum_part<Fp8Codec, 2>(w, row0, tokens, part, sums);
        break;
      default:
        sum_part<Fp4Codec, 4>(w, row0, tokens, part, sums);
    }
    fold(tokens.n, sums, shared, [&](int row, int token, float sum) {
      if (row0 + row < w.rows) store(row, token, sum);
    });
  }

 protected:
  // Units are loaded kAhead at a time: 8 loads of 16 bytes are in flight in each lane.
  template <class Codec, int kAhead>
  __device__ static void sum_part(const Weight& w, int64_t row0, const TileTokens& tokens, Part part, Sums& sums) {
    constexpr int kLoads = kUnit / (4 * Codec::kWeights);  // of a row and unit, by a lane
    constexpr int kXLoads = Codec::kWeights / 8;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int g = lane / 4;
    const int i = lane % 4;
    const int64_t row_bytes = w.cols * 16 / Codec::kWeights;
    // Rows behind the last are read as the last and not stored.
    const int64_t row_a = min(row0 + g, w.rows - 1);
    const int64_t row_b = min(row0 + g + 8, w.rows - 1);
    const std::byte* a = w.data + row_a * row_bytes + 16 * i;
    const std::byte* b = w.data + row_b * row_bytes + 16 * i;
    const std::byte* x[kColumns];
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      // Columns without a token are computed like the last token's and not stored.
      x[c] = tokens.token(min(8 * c + g, tokens.n - 1)) + 2 * Codec::kWeights * i;
    }
    for (int first = part.begin; first < part.end; first += kAhead) {
      uint4 raw[kAhead][2][kLoads];
      typename Codec::Scale scales[kAhead][2];
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        if (first + u >= part.end) break;
#pragma unroll
        for (int l = 0; l < kLoads; ++l) {
          const int64_t at = (static_cast<int64_t>(first + u) * kLoads + l) * 64;
          raw[u][0][l] = __ldcs(reinterpret_cast<const uint4*>(a + at));
          raw[u][1][l] = __ldcs(reinterpret_cast<const uint4*>(b + at));
        }
        scales[u][0] = load_scale<Codec>(w, row_a, 4 * (first + u) + i);
        scales[u][1] = load_scale<Codec>(w, row_b, 4 * (first + u) + i);
      }
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        if (first + u >= part.end) break;
        Sums unit{};
        Sums& into = Codec::kWeights == Fp8Codec::kWeights ? unit : sums;
#pragma unroll
        for (int l = 0; l < kLoads; ++l) {
          const int64_t k = static_cast<int64_t>(first + u) * kUnit + l * 4 * Codec::kWeights;
          multiply<Codec, kXLoads>(raw[u][0][l], raw[u][1][l], scales[u], x, k, into);
        }
        if constexpr (Codec::kWeights == Fp8Codec::kWeights) {
          const float scale = weight_scale(w, row0, static_cast<int64_t>(first + u) * kUnit);
#pragma unroll
          for (int c = 0; c < kColumns; ++c) {
#pragma unroll
            for (int e = 0; e < 4; ++e) sums[c][e] = fmaf(scale, unit[c][e], sums[c][e]);
          }
        }
      }
    }
    if constexpr (Codec::kWeights == Fp4Codec::kWeights) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[c][e] *= Fp4Codec::kUndo;
      }
    }
  }

  // Of 32 columns, where a scale is part of widening; 0 where it is multiplied later.
  template <class Codec>
  __device__ static typename Codec::Scale load_scale(const Weight& w, int64_t row, int64_t block) {
    if constexpr (Codec::kWeights == Fp4Codec::kWeights) {
      return Fp4Codec::scale_of(reinterpret_cast<const uint8_t*>(w.scale)[row * (w.cols / 32) + block]);
    } else {
      return 0;
    }
  }

  template <class Codec, int kXLoads>
  __device__ static void multiply(const uint4& raw_a, const uint4& raw_b, const typename Codec::Scale (&scales)[2],
                                  const std::byte* const (&x)[kColumns], int64_t k, Sums& sums) {
    constexpr int kPairs = Codec::kWeights / 2;
    uint32_t a[kPairs];
    uint32_t b[kPairs];
    Codec::widen(raw_a, scales[0], a);
    Codec::widen(raw_b, scales[1], b);
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      uint4 raw_x[kXLoads];
#pragma unroll
      for (int l = 0; l < kXLoads; ++l) raw_x[l] = *reinterpret_cast<const uint4*>(x[c] + 2 * k + 16 * l);
      uint32_t pairs[kPairs];
      Codec::pair_up(raw_x, pairs);
#pragma unroll
      for (int p = 0; p < kPairs; p += 2) {
        mma_bf16(sums[c], a[p], b[p], a[p + 1], b[p + 1], pairs[p], pairs[p + 1]);
      }
    }
  }

  template <class Store>
  __device__ static void fold(int n_tokens, const Sums& sums, Shared& shared, const Store& store) {
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int g = static_cast<int>(threadIdx.x) % kWarp / 4;
    const int i = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int token = 8 * c + 2 * i + e % 2;
        if (token < n_tokens) shared.parts[warp][token][g + e / 2 * 8] = sums[c][e];
      }
    }
    __syncthreads();
    for (int at = static_cast<int>(threadIdx.x); at < n_tokens * kRows; at += kTileThreads) {
      const int row = at % kRows;
      const int token = at / kRows;
      float sum = 0;
#pragma unroll
      for (int p = 0; p < kTileWarps; ++p) sum += shared.parts[p][token][row];
      store(row, token, sum);
    }
    __syncthreads();
  }
};

// --- float arithmetic ------------------------------------------------------------------------------------------------

// Up to kRowsOfTile rows: 4 where there are many, 1 where blocks would be too few. One row for one token is what stands
// between two sublayers, and its time is the latency of its loads: all weights of 16,384 columns are in registers
// before the kernel before it has ended.
template <int kRowsOfTile, int kTokensOfTile>
struct LaneTile {
  static constexpr int kRows = kRowsOfTile;
  static constexpr int kTokens = kTokensOfTile;
  static constexpr int kBlocksMin = kRows * kTokens == 1 ? 2 : 1;
  static constexpr bool kBeginsWithWeights = kRows * kTokens == 1;
  struct Shared {
    float parts[kTileWarps][kRows * kTokens];
  };
  static size_t staged_bytes(int64_t) { return 0; }

  // As MmaTile::run.
  template <class Store>
  __device__ static void run(const Weight& w, int64_t row0, const TileTokens& tokens, Shared& shared,
                             const Store& store) {
    with_dtype(w.dtype, [&](auto dtype) { sum_part<dtype()>(w, row0, tokens, shared); });
    __syncthreads();
    const int at = static_cast<int>(threadIdx.x);
    const int row = at % kRows;
    const int token = at / kRows;
    if (token < tokens.n && row0 + row < w.rows) {
      float sum = 0;
#pragma unroll
      for (int p = 0; p < kTileWarps; ++p) sum += shared.parts[p][at];
      store(row, token, sum);
    }
    __syncthreads();
  }

 private:
  __device__ static float4 activations(const TileTokens& tokens, const std::byte* x, int64_t k) {
    if (tokens.format == RowFormat::kF32) return *reinterpret_cast<const float4*>(x + 4 * k);
    const ushort4 v = *reinterpret_cast<const ushort4*>(x + 2 * k);
    return {bf16_value(v.x), bf16_value(v.y), bf16_value(v.z), bf16_value(v.w)};
  }

  template <DType dtype>
  __device__ static void sum_part(const Weight& w, int64_t row0, const TileTokens& tokens, Shared& shared) {
    const Part part = part_of_warp(w.cols);
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const std::byte* x[kTokens];
#pragma unroll
    for (int t = 0; t < kTokens; ++t) x[t] = tokens.token(min(t, tokens.n - 1));
    float sums[kRows][kTokens] = {};
    constexpr int kAhead = kBeginsWithWeights && (dtype == DType::kF32 || dtype == DType::kBF16) ? 16 : 4;
    for (int first = part.begin; first < part.end; first += kAhead) {
      float4 weights[kAhead][kRows];
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        const int64_t k = static_cast<int64_t>(first + u) * kUnit + 4 * lane;
        if (first + u >= part.end || k >= w.cols) break;
#pragma unroll
        for (int r = 0; r < kRows; ++r) weights[u][r] = load_4<dtype>(w, min(row0 + r, w.rows - 1), k);
      }
      if (kBeginsWithWeights && first == part.begin) wait_for_previous();
      const auto multiply = [&](int u, const auto& load) {
        const int64_t k = static_cast<int64_t>(first + u) * kUnit + 4 * lane;
#pragma unroll
        for (int t = 0; t < kTokens; ++t) {
          const float4 v = load(x[t], k);
#pragma unroll
          for (int r = 0; r < kRows; ++r) {
            float& sum = sums[r][t];
            sum = fmaf(v.x, weights[u][r].x, sum);
            sum = fmaf(v.y, weights[u][r].y, sum);
            sum = fmaf(v.z, weights[u][r].z, sum);
            sum = fmaf(v.w, weights[u][r].w, sum);
          }
        }
      };
      // Without a branch between them the loads of all units are in flight together.
      if (kBeginsWithWeights && tokens.format == RowFormat::kF32 && first + kAhead <= part.end &&
          static_cast<int64_t>(first + kAhead) * kUnit <= w.cols) {
        const auto load = [](const std::byte* from, int64_t k) {
          return *reinterpret_cast<const float4*>(from + 4 * k);
        };
#pragma unroll
        for (int u = 0; u < kAhead; ++u) multiply(u, load);
        continue;
      }
      const auto load = [&](const std::byte* from, int64_t k) { return activations(tokens, from, k); };
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        if (first + u >= part.end || static_cast<int64_t>(first + u) * kUnit + 4 * lane >= w.cols) break;
        multiply(u, load);
      }
    }
    if (kBeginsWithWeights) wait_for_previous();  // also where a part is empty
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const float sum = warp_sum(sums[r][t]);
        if (lane == 0) shared.parts[warp][t * kRows + r] = sum;
      }
    }
  }
};

// Whether a matrix takes MmaTile for BF16 activations: a property of the matrix alone, so that a token meets the same
// arithmetic in every batch.
inline bool has_mma_tiles(const Weight& w) {
  if (w.cols % kUnit != 0 || reinterpret_cast<uintptr_t>(w.data) % 16 != 0) return false;
  if (w.dtype == DType::kBF16 || w.dtype == DType::kF4E2M1) return true;
  return w.dtype == DType::kF8E4M3 && w.scale_cols == kUnit && w.scale_rows % 16 == 0;
}

}  // namespace hadal::ops
