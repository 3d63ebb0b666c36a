// MmaTile for a single token and one tile a block, the decode step's linear and experts: the same products in the same
// order.
//
// All warps read the token's activations from shared memory, paired for the weights' codec once; fetched by each warp
// where it needs them, they hold the weights up. The first weights are asked for before anything else, the next as soon
// as some are used up. FP8 8192 x 4096 takes 16.7 instead of 19.7 us on an H100 so, 4096 x 8192 16.2 instead of 17.0.
#pragma once

#include "ops/cuda_launch.cuh"
#include "ops/linear/tile_sums.cuh"

namespace hadal::ops {

// The 16 rows of a tile: 8 of `a` from row a0 on and 8 of `b`, matrices of one dtype and size, perhaps the same. A
// scale block holds all 8 (has_mma_tiles), and all 16 of one matrix.
struct TileRows {
  const Weight& a;
  const Weight& b;
  int64_t a0;
  int64_t b0;

  __device__ static TileRows of(const Weight& w, int64_t row0) { return {w, w, row0, row0 + 8}; }
  __device__ bool is_of_one() const { return &a == &b; }
};

struct StagedTile : MmaTile<1> {
  static constexpr int kTokens = 1;
  static constexpr bool kBeginsWithWeights = true;  // and calls wait_for_previous() itself
  static constexpr int64_t kColumnsMax = 16384;     // 32 KB of shared memory
  // Dynamic shared memory of a block.
  static size_t staged_bytes(int64_t K) { return static_cast<size_t>(2 * K); }

  // As MmaTile::run.
  template <class Store>
  __device__ static void run(const Weight& w, int64_t row0, const TileTokens& tokens, Shared& shared,
                             const Store& store) {
    run(TileRows::of(w, row0), tokens, shared, [&](int row, float sum) {
      if (row0 + row < w.rows) store(row, 0, sum);
    });
  }

  // store(row of the tile, sum).
  template <class Store>
  __device__ static void run(const TileRows& rows, const TileTokens& tokens, Shared& shared, const Store& store) {
    Sums sums{};
    switch (rows.a.dtype) {
      case DType::kBF16:
        sum_part<Bf16Codec, 1>(rows, tokens, sums);
        break;
      case DType::kF8E4M3:
        sum_part<Fp8Codec, 2>(rows, tokens, sums);
        break;
      default:
        sum_part<Fp4Codec, 4>(rows, tokens, sums);
    }
    fold(1, sums, shared, [&](int row, int, float sum) { store(row, sum); });
  }

 private:
  // [K / (4 kWeights)][kPairs / 4][4 lanes], so that the four lanes of a row read side by side.
  __device__ static uint4* staged() {
    extern __shared__ uint4 staged_activations[];
    return staged_activations;
  }

  template <class Codec>
  __device__ static void stage(const std::byte* x, int64_t K) {
    constexpr int kXLoads = Codec::kWeights / 8;
    for (int at = static_cast<int>(threadIdx.x); at < K / Codec::kWeights; at += kTileThreads) {
      uint4 raw_x[kXLoads];
#pragma unroll
      for (int l = 0; l < kXLoads; ++l) raw_x[l] = reinterpret_cast<const uint4*>(x)[at * kXLoads + l];
      uint32_t pairs[Codec::kWeights / 2];
      Codec::pair_up(raw_x, pairs);
#pragma unroll
      for (int p = 0; p < kXLoads; ++p) {
        staged()[(at / 4 * kXLoads + p) * 4 + at % 4] = {pairs[4 * p], pairs[4 * p + 1], pairs[4 * p + 2],
                                                         pairs[4 * p + 3]};
      }
    }
  }

  // Adds the products of the four lanes' weights number `step` of their rows.
  template <class Codec>
  __device__ static void multiply_step(const uint4& raw_a, const uint4& raw_b, const typename Codec::Scale (&scales)[2],
                                       int step, Sums& sums) {
    constexpr int kPairs = Codec::kWeights / 2;
    uint32_t a[kPairs];
    uint32_t b[kPairs];
    Codec::widen(raw_a, scales[0], a);
    Codec::widen(raw_b, scales[1], b);
#pragma unroll
    for (int p = 0; p < kPairs; p += 4) {
      const uint4 x = staged()[(step * (kPairs / 4) + p / 4) * 4 + static_cast<int>(threadIdx.x) % 4];
      mma_bf16(sums[0], a[p], b[p], a[p + 1], b[p + 1], x.x, x.y);
      mma_bf16(sums[0], a[p + 2], b[p + 2], a[p + 3], b[p + 3], x.z, x.w);
    }
  }

  template <class Codec, int kAhead>
  __device__ static void sum_part(const TileRows& rows, const TileTokens& tokens, Sums& sums) {
    const Weight& w = rows.a;
    constexpr int kLoads = kUnit / (4 * Codec::kWeights);
    constexpr bool kHasUnitScale = Codec::kWeights == Fp8Codec::kWeights;
    const Part part = part_of_warp(w.cols);
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int64_t row_bytes = w.cols * 16 / Codec::kWeights;
    const int64_t row_a = min(rows.a0 + lane / 4, w.rows - 1);
    const int64_t row_b = min(rows.b0 + lane / 4, w.rows - 1);
    const std::byte* a = w.data + row_a * row_bytes + 16 * (lane % 4);
    const std::byte* b = rows.b.data + row_b * row_bytes + 16 * (lane % 4);

    uint4 raw[kAhead][2][kLoads];
    typename Codec::Scale scales[kAhead][2];
    const auto load = [&](int slot, int unit) {
#pragma unroll
      for (int l = 0; l < kLoads; ++l) {
        const int64_t at = (static_cast<int64_t>(unit) * kLoads + l) * 64;
        raw[slot][0][l] = __ldcs(reinterpret_cast<const uint4*>(a + at));
        raw[slot][1][l] = __ldcs(reinterpret_cast<const uint4*>(b + at));
      }
      scales[slot][0] = load_scale<Codec>(w, row_a, 4 * unit + lane % 4);
      scales[slot][1] = load_scale<Codec>(rows.b, row_b, 4 * unit + lane % 4);
    };
#pragma unroll
    for (int slot = 0; slot < kAhead; ++slot) {
      if (part.begin + slot < part.end) load(slot, part.begin + slot);
    }
    wait_for_previous();
    stage<Codec>(tokens.token(0), w.cols);
    __syncthreads();
    for (int first = part.begin; first < part.end; first += kAhead) {
#pragma unroll
      for (int slot = 0; slot < kAhead; ++slot) {
        const int unit = first + slot;
        if (unit >= part.end) break;
        Sums of_unit{};
        Sums& into = kHasUnitScale ? of_unit : sums;
#pragma unroll
        for (int l = 0; l < kLoads; ++l) {
          multiply_step<Codec>(raw[slot][0][l], raw[slot][1][l], scales[slot], unit * kLoads + l, into);
        }
        if (unit + kAhead < part.end) load(slot, unit + kAhead);
        if constexpr (kHasUnitScale) {
          const float scale_a = weight_scale(w, rows.a0, static_cast<int64_t>(unit) * kUnit);
          const float scale_b =
              rows.is_of_one() ? scale_a : weight_scale(rows.b, rows.b0, static_cast<int64_t>(unit) * kUnit);
#pragma unroll
          for (int e = 0; e < 4; ++e) sums[0][e] = fmaf(e < 2 ? scale_a : scale_b, of_unit[0][e], sums[0][e]);
        }
      }
    }
    if constexpr (Codec::kWeights == Fp4Codec::kWeights) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[0][e] *= Fp4Codec::kUndo;
    }
  }
};

}  // namespace hadal::ops
