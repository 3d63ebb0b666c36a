// The inner product of linear and moe for many tokens: 64 rows of two matrices (or 128 of one) and 128 tokens by one
// block, so that weights and activations are read from L2 an eighth as often as by MmaTile and widened for 64 tokens at
// a time by a warp.
//
// Products and their order are MmaTile's, bit for bit. There eight warps take a part of the columns each; here every
// warp walks all columns for rows and tokens of its own, and adds a part to the parts before it when it is through.
//
//   columns in stages of one unit, two of them: cp.async fills one while the other is multiplied
//   warps 4 x 2, each 2 m16 tiles of rows times 8 n8 tiles of tokens; an m16 tile is 8 rows of `a` and 8 of `b`
#pragma once

#include "ops/linear/staged_tile.cuh"

namespace hadal::ops {

__device__ inline void copy_16_async(uint32_t to_shared, const std::byte* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to_shared), "l"(from));
}
__device__ inline void commit_copies() {
  asm volatile("cp.async.commit_group;");
}
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group 0;" ::: "memory");
}

// Lets a kernel's blocks take more shared memory than 48 KB.
template <class Kernel>
void allow_shared_bytes(Kernel* kernel, size_t bytes) {
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
}

struct BlockTile {
  static constexpr int kHalfRows = 64;  // of each matrix
  static constexpr int kRows = 2 * kHalfRows;
  static constexpr int kTokens = 128;

  // Whether blocks of so many tiles are worth it: they fit, and give every multiprocessor one.
  static bool pays(const CudaContext& context, DType dtype, int64_t n_tiles) {
    return n_tiles >= context.n_multiprocessors && shared_bytes(dtype) <= static_cast<size_t>(context.shared_bytes_max);
  }
  // Dynamic shared memory of a block: two stages, the parts' sums, where rows and tokens lie.
  static size_t shared_bytes(DType dtype) {
    const size_t weights = dtype == DType::kBF16 ? kUnit * 2 : dtype == DType::kF8E4M3 ? kUnit : kUnit / 2;
    return 2 * (kRows * weights + kTokens * kTokenBytes) + kTotalBytes + (kRows + kTokens) * sizeof(std::byte*);
  }

  // store(r, token, sum of row a0 + r of a, sum of row b0 + r of b) for r in [0, 64) and every token, each by one
  // thread; rows behind a matrix's last one are stored, too, and are the caller's to leave out. Once per block.
  template <class Store>
  __device__ static void run(const TileRows& rows, const TileTokens& tokens, const Store& store) {
    switch (rows.a.dtype) {
      case DType::kBF16:
        return run_as<Bf16Codec>(rows, tokens, store);
      case DType::kF8E4M3:
        return run_as<Fp8Codec>(rows, tokens, store);
      default:
        return run_as<Fp4Codec>(rows, tokens, store);
    }
  }

 private:
  static constexpr int kTokenBytes = 2 * kUnit;  // of a stage
  static constexpr int kTokenSlots = kTokenBytes / 16;
  static constexpr int kMTiles = 2;  // of a warp
  static constexpr int kNTiles = 8;
  using Sums = float[kMTiles][kNTiles][4];
  static constexpr size_t kTotalBytes = sizeof(Sums) * kTileThreads;

  // Shared memory, and what a thread knows of its places there. A stage is rows of weights, then tokens, in slots of 16
  // bytes, which are exchanged so that the eight lanes that read together never meet in a bank.
  template <class Codec>
  struct Stages {
    static constexpr int kWeightSlots = kUnit / Codec::kWeights;  // of a row
    static constexpr int kXLoads = Codec::kWeights / 8;           // of a lane, of a chunk
    static constexpr int kChunks = kUnit / (4 * Codec::kWeights);
    static constexpr int kFirstToken = kRows * kWeightSlots;
    static constexpr int kStageSlots = kFirstToken + kTokens * kTokenSlots;

    uint4* slots;                 // [2][kStageSlots]
    float* totals;                // [64][threads], this thread's
    const std::byte** row_bytes;  // [kRows + kTokens]: where they lie in the matrix and among the activations
    // Of a lane's reads, in slots from the stage's beginning: first m tile of `a`, first n tile.
    int weights_at[kChunks];
    int tokens_at[kChunks * kXLoads];

    __device__ static int weight_slot(int row, int slot) {
      return slot ^ (Codec::kWeights == Fp4Codec::kWeights ? 0 : 4 * (row & 1));
    }
    __device__ static int token_slot(int token, int slot) {
      if constexpr (Codec::kWeights == Bf16Codec::kWeights) return slot ^ 4 * (token & 1);
      if constexpr (Codec::kWeights == Fp8Codec::kWeights) return slot ^ (token & 1);
      return slot ^ (slot >> 3 & 1) ^ 2 * (token & 1);
    }

    __device__ static Stages of_thread() {
      extern __shared__ uint4 block_tile_memory[];
      const int warp = static_cast<int>(threadIdx.x) / kWarp;
      const int g = static_cast<int>(threadIdx.x) % kWarp / 4;
      const int i = static_cast<int>(threadIdx.x) % 4;
      Stages s;
      s.slots = block_tile_memory;
      auto* totals = reinterpret_cast<float*>(block_tile_memory + 2 * kStageSlots);
      s.totals = totals + threadIdx.x;
      s.row_bytes = reinterpret_cast<const std::byte**>(totals + kTotalBytes / sizeof(float));
      const int row = 8 * kMTiles * (warp % 4) + g;
      const int token = 8 * kNTiles * (warp / 4) + g;
#pragma unroll
      for (int c = 0; c < kChunks; ++c) {
        s.weights_at[c] = row * kWeightSlots + weight_slot(row, 4 * c + i);
#pragma unroll
        for (int l = 0; l < kXLoads; ++l) {
          s.tokens_at[c * kXLoads + l] =
              kFirstToken + token * kTokenSlots + token_slot(token, (4 * c + i) * kXLoads + l);
        }
      }
      return s;
    }

    // Places without a row or a token are filled like the last one.
    __device__ void note_rows(const TileRows& rows, const TileTokens& tokens) const {
      const int64_t row_size = rows.a.cols * 16 / Codec::kWeights;
      const int at = static_cast<int>(threadIdx.x);
      if (at < kHalfRows) {
        row_bytes[at] = rows.a.data + min(rows.a0 + at, rows.a.rows - 1) * row_size;
      } else if (at < kRows) {
        row_bytes[at] = rows.b.data + min(rows.b0 + at - kHalfRows, rows.b.rows - 1) * row_size;
      } else {
        row_bytes[at] = tokens.token(min(at - kRows, tokens.n - 1));
      }
      static_assert(kRows + kTokens == kTileThreads);
      __syncthreads();
    }

    __device__ void load(int stage, int unit) const {
      const int thread = static_cast<int>(threadIdx.x);
      uint4* to = slots + stage * kStageSlots;
      {
        const int row = thread / kWeightSlots;
        const int slot = thread % kWeightSlots;
        constexpr int kRowsAtOnce = kTileThreads / kWeightSlots;
        const auto to_first =
            static_cast<uint32_t>(__cvta_generic_to_shared(to + row * kWeightSlots + weight_slot(row, slot)));
        const int64_t from = (static_cast<int64_t>(unit) * kWeightSlots + slot) * 16;
#pragma unroll
        for (int j = 0; j < kRows / kRowsAtOnce; ++j) {
          copy_16_async(to_first + j * kTileThreads * 16, row_bytes[row + j * kRowsAtOnce] + from);
        }
      }
      const int token = thread / kTokenSlots;
      const int slot = thread % kTokenSlots;
      constexpr int kTokensAtOnce = kTileThreads / kTokenSlots;
      const auto to_first = static_cast<uint32_t>(
          __cvta_generic_to_shared(to + kFirstToken + token * kTokenSlots + token_slot(token, slot)));
      const int64_t from = (static_cast<int64_t>(unit) * kTokenSlots + slot) * 16;
#pragma unroll
      for (int j = 0; j < kTokens / kTokensAtOnce; ++j) {
        copy_16_async(to_first + j * kTileThreads * 16, row_bytes[kRows + token + j * kTokensAtOnce] + from);
      }
      commit_copies();
    }
  };

  // Adds the products of one unit. scales: of a's and b's rows of each m tile, where widening takes them.
  template <class Codec>
  __device__ static void multiply_unit(const Stages<Codec>& stages, int stage,
                                       const typename Codec::Scale (&scales)[kMTiles][2], Sums& sums) {
    constexpr int kPairs = Codec::kWeights / 2;
    constexpr int kXLoads = Stages<Codec>::kXLoads;
    constexpr int kMTileSlots = 8 * Stages<Codec>::kWeightSlots;
    const uint4* slots = stages.slots + stage * Stages<Codec>::kStageSlots;
#pragma unroll
    for (int chunk = 0; chunk < Stages<Codec>::kChunks; ++chunk) {
      uint32_t a[kMTiles][kPairs];
      uint32_t b[kMTiles][kPairs];
      const uint4* weights = slots + stages.weights_at[chunk];
#pragma unroll
      for (int m = 0; m < kMTiles; ++m) {
        Codec::widen(weights[m * kMTileSlots], scales[m][0], a[m]);
        Codec::widen(weights[m * kMTileSlots + kHalfRows * Stages<Codec>::kWeightSlots], scales[m][1], b[m]);
      }
#pragma unroll
      for (int n = 0; n < kNTiles; ++n) {
        uint4 raw_x[kXLoads];
#pragma unroll
        for (int l = 0; l < kXLoads; ++l) {
          raw_x[l] = slots[stages.tokens_at[chunk * kXLoads + l] + n * 8 * kTokenSlots];
        }
        uint32_t pairs[kPairs];
        Codec::pair_up(raw_x, pairs);
#pragma unroll
        for (int p = 0; p < kPairs; p += 2) {
#pragma unroll
          for (int m = 0; m < kMTiles; ++m) {
            mma_bf16(sums[m][n], a[m][p], b[m][p], a[m][p + 1], b[m][p + 1], pairs[p], pairs[p + 1]);
          }
        }
      }
    }
  }

  // f(sum, its number among the thread's, m tile, n tile, element of the product).
  template <class F>
  __device__ static void for_sums(Sums& sums, const F& f) {
#pragma unroll
    for (int m = 0; m < kMTiles; ++m) {
#pragma unroll
      for (int n = 0; n < kNTiles; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) f(sums[m][n][e], (m * kNTiles + n) * 4 + e, m, n, e);
      }
    }
  }

  template <class Codec, class Store>
  __device__ static void run_as(const TileRows& rows, const TileTokens& tokens, const Store& store) {
    constexpr bool kHasUnitScale = Codec::kWeights == Fp8Codec::kWeights;
    const Stages<Codec> stages = Stages<Codec>::of_thread();
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int g = static_cast<int>(threadIdx.x) % kWarp / 4;
    const int i = static_cast<int>(threadIdx.x) % 4;
    const int units = static_cast<int>(rows.a.cols / kUnit);
    stages.note_rows(rows, tokens);
    stages.load(0, 0);

    const auto row_of = [&](int m) { return 8 * (kMTiles * (warp % 4) + m); };
    const auto load_scales = [&](int unit, typename Codec::Scale(&scales)[kMTiles][2]) {
#pragma unroll
      for (int m = 0; m < kMTiles; ++m) {
        if constexpr (Codec::kWeights == Fp4Codec::kWeights) {
          const int64_t block = 4 * unit + i;
          const auto scale_of = [&](const Weight& w, int64_t row) {
            return Fp4Codec::scale_of(
                reinterpret_cast<const uint8_t*>(w.scale)[min(row, w.rows - 1) * (w.cols / 32) + block]);
          };
          scales[m][0] = scale_of(rows.a, rows.a0 + row_of(m) + g);
          scales[m][1] = scale_of(rows.b, rows.b0 + row_of(m) + g);
        } else {
          scales[m][0] = scales[m][1] = 0;
        }
      }
    };
    typename Codec::Scale next_scales[kMTiles][2];
    load_scales(0, next_scales);

    Sums sums{};
#pragma unroll 1
    for (int at = 0; at < 64; ++at) stages.totals[at * kTileThreads] = 0;
    int unit = 0;
#pragma unroll 1
    for (int part = 0; part < kTileWarps; ++part) {
      const int end = (part + 1) * units / kTileWarps;
      if (unit == end) continue;
#pragma unroll 1
      for (; unit < end; ++unit) {
        wait_for_copies();
        __syncthreads();
        if (unit + 1 < units) stages.load((unit + 1) % 2, unit + 1);
        typename Codec::Scale scales[kMTiles][2];
#pragma unroll
        for (int m = 0; m < kMTiles; ++m) {
          scales[m][0] = next_scales[m][0];
          scales[m][1] = next_scales[m][1];
        }
        if (unit + 1 < units) load_scales(unit + 1, next_scales);
        if constexpr (kHasUnitScale) {
          float unit_scales[kMTiles][2];
#pragma unroll
          for (int m = 0; m < kMTiles; ++m) {
            const int64_t k = static_cast<int64_t>(unit) * kUnit;
            unit_scales[m][0] = weight_scale(rows.a, min(rows.a0 + row_of(m), rows.a.rows - 1), k);
            unit_scales[m][1] = weight_scale(rows.b, min(rows.b0 + row_of(m), rows.b.rows - 1), k);
          }
          Sums of_unit{};
          multiply_unit<Codec>(stages, unit % 2, scales, of_unit);
          for_sums(sums, [&](float& sum, int, int m, int n, int e) {
            sum = fmaf(unit_scales[m][e / 2], of_unit[m][n][e], sum);
          });
        } else {
          multiply_unit<Codec>(stages, unit % 2, scales, sums);
        }
      }
      for_sums(sums, [&](float& sum, int at, int, int, int) {
        if constexpr (Codec::kWeights == Fp4Codec::kWeights) sum *= Fp4Codec::kUndo;
        stages.totals[at * kTileThreads] += sum;
        sum = 0;
      });
    }
#pragma unroll
    for (int m = 0; m < kMTiles; ++m) {
#pragma unroll
      for (int n = 0; n < kNTiles; ++n) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int token = 8 * (kNTiles * (warp / 4) + n) + 2 * i + e;
          const float* total = stages.totals + ((m * kNTiles + n) * 4 + e) * kTileThreads;
          if (token < tokens.n) store(row_of(m) + g, token, total[0], total[2 * kTileThreads]);
        }
      }
    }
  }
};

}  // namespace hadal::ops
