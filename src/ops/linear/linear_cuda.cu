// Linear layers: a block a tile of rows and tokens (tile_sums.cuh has the arithmetic and its order).
//
// One token reads every weight once, in 16-byte loads of which 8 are in flight in each lane. Many tokens share the
// widened weights of a tile, 64 at a time; where there are enough of them for larger tiles, activations are shared by
// 128 rows as well (block_tile.cuh).

#include <algorithm>

#include "ops/cuda_kernels.cuh"
#include "ops/linear/block_tile.cuh"

namespace hadal::ops {
namespace {

// Asks for rows on their way to L2; a block reads them soon.
__device__ void fetch_rows(const Weight& w, int64_t w_row_bytes, int64_t row0, int64_t n) {
  constexpr int64_t kLine = 128;
  const int64_t begin = row0 * w_row_bytes;
  const int64_t end = min(row0 + n, w.rows) * w_row_bytes;
  for (int64_t at = begin + threadIdx.x * kLine; at < end; at += kTileThreads * kLine) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(w.data + at));
  }
}

template <class Tile>
__global__ void __launch_bounds__(kTileThreads, Tile::kBlocksMin) linear_kernel(Linear op, int64_t w_row_bytes) {
  if constexpr (!Tile::kBeginsWithWeights) {
    if constexpr (Tile::kTokens == 1) {
      fetch_rows(op.w, w_row_bytes, static_cast<int64_t>(blockIdx.x) * Tile::kRows, Tile::kRows);
    }
    wait_for_previous();
  }
  __shared__ typename Tile::Shared shared;
  const int64_t rows_of_group = op.w.rows / op.x.groups;
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * Tile::kRows;
  const int64_t token0 = static_cast<int64_t>(blockIdx.y) * Tile::kTokens;
  const int64_t group = row0 / rows_of_group;
  const int64_t row_bytes = packed_row_bytes(op.x.K, op.x.format);
  const TileTokens tokens = {.x = op.x.data + (token0 * op.x.groups + group) * row_bytes,
                             .stride_bytes = op.x.groups * row_bytes,
                             .format = op.x.format,
                             .n = static_cast<int>(min(static_cast<int64_t>(Tile::kTokens), op.x.T - token0))};
  float* y = op.y + token0 * op.y_stride + row0;
  Tile::run(op.w, row0, tokens, shared, [&](int row, int token, float sum) { y[token * op.y_stride + row] = sum; });
}

template <class Tile>
void launch(CudaContext& context, const Linear& op) {
  const dim3 grid(blocks_for(op.w.rows, Tile::kRows), blocks_for(op.x.T, Tile::kTokens));
  enqueue(context, grid, kTileThreads, Tile::staged_bytes(op.x.K), linear_kernel<Tile>, op, op.w.row_bytes());
}

__global__ void __launch_bounds__(kTileThreads, 1) linear_block_kernel(Linear op) {
  wait_for_previous();
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * BlockTile::kRows;
  const int64_t token0 = static_cast<int64_t>(blockIdx.y) * BlockTile::kTokens;
  const int64_t group = row0 / (op.w.rows / op.x.groups);
  const int64_t row_bytes = packed_row_bytes(op.x.K, op.x.format);
  const TileTokens tokens = {.x = op.x.data + (token0 * op.x.groups + group) * row_bytes,
                             .stride_bytes = op.x.groups * row_bytes,
                             .n = static_cast<int>(min(static_cast<int64_t>(BlockTile::kTokens), op.x.T - token0))};
  BlockTile::run({op.w, op.w, row0, row0 + BlockTile::kHalfRows}, tokens, [&](int r, int token, float a, float b) {
    float* y = op.y + (token0 + token) * op.y_stride + row0;
    if (row0 + r < op.w.rows) y[r] = a;
    if (row0 + r + BlockTile::kHalfRows < op.w.rows) y[r + BlockTile::kHalfRows] = b;
  });
}

void launch_blocks(CudaContext& context, const Linear& op) {
  const size_t bytes = BlockTile::shared_bytes(op.w.dtype);
  allow_shared_bytes(linear_block_kernel, bytes);
  const dim3 grid(blocks_for(op.w.rows, BlockTile::kRows), blocks_for(op.x.T, BlockTile::kTokens));
  enqueue(context, grid, kTileThreads, bytes, linear_block_kernel, op);
}

// Whether blocks take one row each: of 4 there would be too few for a GPU's multiprocessors.
bool has_few_rows(const Linear& op) {
  constexpr int64_t kTilesMin = 256;
  return op.w.rows / 4 * ((op.x.T + 7) / 8) <= kTilesMin;
}

}  // namespace

void linear_cuda(CudaContext& context, const Linear& op) {
  const int64_t T = op.x.T;
  if (T == 0) return;
  const int64_t rows_of_group = op.w.rows / op.x.groups;
  if (op.x.format == RowFormat::kBf16 && has_mma_tiles(op.w) && (op.x.groups == 1 || rows_of_group % 16 == 0)) {
    if (T == 1 && op.x.K <= StagedTile::kColumnsMax) {
      launch<StagedTile>(context, op);
    } else if (T <= 8) {
      launch<MmaTile<1>>(context, op);
    } else if (T <= 16) {
      launch<MmaTile<2>>(context, op);
    } else if (T <= 32) {
      launch<MmaTile<4>>(context, op);
    } else if ((op.x.groups == 1 || rows_of_group % BlockTile::kRows == 0) &&
               BlockTile::pays(
                   context, op.w.dtype,
                   static_cast<int64_t>(blocks_for(op.w.rows, BlockTile::kRows)) * (T / BlockTile::kTokens))) {
      launch_blocks(context, op);
    } else {
      launch<MmaTile<8>>(context, op);
    }
  } else if (has_few_rows(op) || rows_of_group % 4 != 0) {
    T == 1 ? launch<LaneTile<1, 1>>(context, op) : launch<LaneTile<1, 8>>(context, op);
  } else {
    T == 1 ? launch<LaneTile<4, 1>>(context, op) : launch<LaneTile<4, 8>>(context, op);
  }
  context.check_launch("linear");
}

}  // namespace hadal::ops
