// Linear layers: a block a tile of rows and tokens (tile_sums.cuh has the arithmetic and its order).
//
// One token reads every weight once, in 16-byte loads of which 8 are in flight in each lane. Many tokens share the
// widened weights of a tile, 64 at a time; where there are enough of them for larger tiles, activations are shared by
// 128 rows as well (block_tile.cuh).

#include <algorithm>
#include <utility>
#include <vector>

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

struct LinearOnGpu {
  Linear op;
  int64_t w_row_bytes;
};

// Matrices of a launch: those that read a sublayer's input are at most seven.
constexpr int kOpsMax = 8;

template <class Tile, int kOps>
__global__ void __launch_bounds__(kTileThreads, Tile::kBlocksMin)
    linear_kernel(const __grid_constant__ OpBatch<LinearOnGpu, kOps> batch) {
  const int in_batch = batch.op_of(static_cast<int>(blockIdx.x));
  const Linear& op = batch.ops[in_batch].op;
  const int64_t row0 = static_cast<int64_t>(static_cast<int>(blockIdx.x) - batch.first[in_batch]) * Tile::kRows;
  if constexpr (!Tile::kBeginsWithWeights) {
    if constexpr (Tile::kTokens == 1) fetch_rows(op.w, batch.ops[in_batch].w_row_bytes, row0, Tile::kRows);
    wait_for_previous();
  }
  __shared__ typename Tile::Shared shared;
  const int64_t rows_of_group = op.w.rows / op.x.groups;
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

template <class Tile, int kOps>
void launch_some(CudaContext& context, std::span<const Linear> ops) {
  LinearOnGpu with_bytes[kOps];
  size_t staged_bytes = 0;
  for (size_t i = 0; i < ops.size(); ++i) {
    with_bytes[i] = {ops[i], ops[i].w.row_bytes()};
    staged_bytes = std::max(staged_bytes, Tile::staged_bytes(ops[i].x.K));
  }
  const auto tiles_of = [](const LinearOnGpu& of) { return blocks_for(of.op.w.rows, Tile::kRows); };
  launch_batch<kOps>(std::span<const LinearOnGpu>(with_bytes, ops.size()), tiles_of, [&](const auto& batch) {
    const dim3 grid(static_cast<unsigned>(batch.n_items()), blocks_for(ops.front().x.T, Tile::kTokens));
    enqueue(context, grid, kTileThreads, staged_bytes, linear_kernel<Tile, kOps>, batch);
  });
}

// Of equally many tokens.
template <class Tile>
void launch(CudaContext& context, std::span<const Linear> ops) {
  while (ops.size() > 1) {
    const auto some = ops.first(std::min<size_t>(ops.size(), kOpsMax));
    launch_some<Tile, kOpsMax>(context, some);
    ops = ops.subspan(some.size());
  }
  if (!ops.empty()) launch_some<Tile, 1>(context, ops);
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

// Whether tensor cores multiply it; the others go through float arithmetic.
bool is_mma(const Linear& op) {
  return op.x.format == RowFormat::kBf16 && has_mma_tiles(op.w) &&
         (op.x.groups == 1 || op.w.rows / op.x.groups % 16 == 0);
}

bool takes_blocks(const CudaContext& context, const Linear& op) {
  const int64_t n_blocks =
      static_cast<int64_t>(blocks_for(op.w.rows, BlockTile::kRows)) * (op.x.T / BlockTile::kTokens);
  return op.x.T > 32 && (op.x.groups == 1 || op.w.rows / op.x.groups % BlockTile::kRows == 0) &&
         BlockTile::pays(context, op.w.dtype, n_blocks);
}

// Of equally many tokens, for tensor cores.
void launch_mma(CudaContext& context, std::span<const Linear> ops) {
  const int64_t T = ops.front().x.T;
  const auto is_staged = [](const Linear& op) { return op.x.K <= StagedTile::kColumnsMax; };
  if (T == 1 && std::all_of(ops.begin(), ops.end(), is_staged)) {
    launch<StagedTile>(context, ops);
  } else if (T <= 8) {
    launch<MmaTile<1>>(context, ops);
  } else if (T <= 16) {
    launch<MmaTile<2>>(context, ops);
  } else if (T <= 32) {
    launch<MmaTile<4>>(context, ops);
  } else {
    launch<MmaTile<8>>(context, ops);
  }
}

void launch_lanes(CudaContext& context, const Linear& op) {
  const std::span<const Linear> one(&op, 1);
  if (has_few_rows(op) || op.w.rows / op.x.groups % 4 != 0) {
    op.x.T == 1 ? launch<LaneTile<1, 1>>(context, one) : launch<LaneTile<1, 8>>(context, one);
  } else {
    op.x.T == 1 ? launch<LaneTile<4, 1>>(context, one) : launch<LaneTile<4, 8>>(context, one);
  }
}

}  // namespace

void linear_cuda(CudaContext& context, const Linear* ops, int64_t n) {
  std::vector<Linear> together;
  for (const Linear& op : std::span(ops, static_cast<size_t>(n))) {
    if (op.x.T == 0) continue;
    if (!is_mma(op)) {
      launch_lanes(context, op);
    } else if (takes_blocks(context, op)) {
      launch_blocks(context, op);
    } else {
      if (!together.empty() && together.front().x.T != op.x.T) launch_mma(context, std::exchange(together, {}));
      together.push_back(op);
    }
  }
  if (!together.empty()) launch_mma(context, together);
  context.check_launch("linear");
}

}  // namespace hadal::ops
