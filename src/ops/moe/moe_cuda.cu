// Mixture of experts: up (w1, w3, SwiGLU) and down (w2) over (expert, token) pairs, then the sum of a token's experts.
//
// A block computes a tile of rows for the pairs of one item (moe_lists.cuh). One token needs no lists: its experts are
// the items. The arithmetic of a tile and its order are linear's (tile_sums.cuh); a token's experts are added by
// ascending id, the shared one last.

#include <algorithm>

#include "ops/cuda_kernels.cuh"
#include "ops/linear/block_tile.cuh"
#include "ops/moe/moe_lists.cuh"

namespace hadal::ops {
namespace {

__device__ float swiglu_of(float gate, float up, float limit) {
  if (limit > 0) {
    up = fminf(fmaxf(up, -limit), limit);
    gate = fminf(gate, limit);
  }
  return gate / (1.0f + expf(-gate)) * up;
}

template <class Tile>
__global__ void __launch_bounds__(kTileThreads, Tile::kBlocksMin) moe_up_kernel(MoeKernels k, RowFormat hidden_format) {
  wait_for_previous();
  __shared__ typename Tile::Shared shared;
  __shared__ float gates[Tile::kTokens][Tile::kRows];
  const Assignment a = assignment_of_block(k);
  if (a.n == 0) return;
  const Moe& op = k.op;
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * Tile::kRows;
  const bool is_shared = a.expert < 0;
  const auto first_token = is_shared ? a.first_pair - op.T * op.K : 0;
  const int64_t row_bytes = packed_row_bytes(op.C, op.x.format);
  const TileTokens tokens = {.x = op.x.data + first_token * row_bytes,
                             .stride_bytes = row_bytes,
                             .format = op.x.format,
                             .rows = a.pairs,
                             .divisor = static_cast<int>(op.K),
                             .n = a.n};
  const int64_t hidden_bytes = packed_row_bytes(op.I, hidden_format);
  const Weight gate_matrix = is_shared ? k.shared.w1 : op.routed_on_gpu[a.expert].w1;
  const Weight up_matrix = is_shared ? k.shared.w3 : op.routed_on_gpu[a.expert].w3;
  Tile::run(gate_matrix, row0, tokens, shared, [&](int row, int token, float sum) { gates[token][row] = sum; });
  Tile::run(up_matrix, row0, tokens, shared, [&](int row, int token, float sum) {
    const int pair = a.pair(token);
    const float weight = is_shared ? 1.0f : op.weights[pair];
    const float h = weight * swiglu_of(gates[token][row], sum, op.swiglu_limit);
    std::byte* to = k.hidden + pair * hidden_bytes;
    if (hidden_format == RowFormat::kF32) {
      reinterpret_cast<float*>(to)[row0 + row] = h;
    } else {
      reinterpret_cast<uint16_t*>(to)[row0 + row] = bf16_code(h);
    }
  });
}

template <class Tile>
__global__ void __launch_bounds__(kTileThreads, Tile::kBlocksMin)
    moe_down_kernel(MoeKernels k, RowFormat hidden_format) {
  wait_for_previous();
  __shared__ typename Tile::Shared shared;
  const Assignment a = assignment_of_block(k);
  if (a.n == 0) return;
  const Moe& op = k.op;
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * Tile::kRows;
  const int64_t hidden_bytes = packed_row_bytes(op.I, hidden_format);
  const TileTokens tokens = {.x = k.hidden + a.first_pair * hidden_bytes,
                             .stride_bytes = hidden_bytes,
                             .format = hidden_format,
                             .rows = a.pairs,
                             .divisor = 1,
                             .n = a.n};
  const Weight matrix = a.expert < 0 ? k.shared.w2 : op.routed_on_gpu[a.expert].w2;
  Tile::run(matrix, row0, tokens, shared,
            [&](int row, int token, float sum) { k.outputs[a.pair(token) * op.C + row0 + row] = sum; });
}

// A single token. Of each expert 8 rows of gate and 8 of up are one tile: half as much work for a block, twice as many
// blocks.
constexpr int kGateRows = StagedTile::kRows / 2;

__global__ void __launch_bounds__(kTileThreads, StagedTile::kBlocksMin) moe_up_one_kernel(MoeKernels k) {
  __shared__ StagedTile::Shared shared;
  __shared__ float sums[StagedTile::kRows];
  const bool is_shared = static_cast<int>(blockIdx.y) >= k.n_routed_items;
  if (!is_shared) wait_for_previous();  // the router
  const Assignment a = assignment_of_block(k);
  const Moe& op = k.op;
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * kGateRows;
  const ExpertWeights& expert = is_shared ? k.shared : op.routed_on_gpu[a.expert];
  const TileTokens tokens = {.x = op.x.data, .format = op.x.format, .n = 1};
  StagedTile::run({expert.w1, expert.w3, row0, row0}, tokens, shared, [&](int row, float sum) { sums[row] = sum; });
  const auto row = static_cast<int>(threadIdx.x);
  if (row >= kGateRows || row0 + row >= op.I) return;
  const float weight = is_shared ? 1.0f : op.weights[a.first_pair];
  const float h = weight * swiglu_of(sums[row], sums[kGateRows + row], op.swiglu_limit);
  auto* to = reinterpret_cast<uint16_t*>(k.hidden + a.first_pair * packed_row_bytes(op.I, RowFormat::kBf16));
  to[row0 + row] = bf16_code(h);
}

// The router has ended before this kernel begins (cuda_launch.cuh), so it knows its experts and asks for their rows
// before it waits for the hidden ones.
__global__ void __launch_bounds__(kTileThreads, StagedTile::kBlocksMin) moe_down_one_kernel(MoeKernels k) {
  __shared__ StagedTile::Shared shared;
  const auto y = static_cast<int>(blockIdx.y);
  const Moe& op = k.op;
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * StagedTile::kRows;
  const TileTokens tokens = {.x = k.hidden + y * packed_row_bytes(op.I, RowFormat::kBf16), .n = 1};
  const Weight matrix = y >= k.n_routed_items ? k.shared.w2 : op.routed_on_gpu[__ldcg(op.experts + y)].w2;
  StagedTile::run(matrix, row0, tokens, shared,
                  [&](int row, int, float sum) { k.outputs[y * op.C + row0 + row] = sum; });
}

// Many tokens of an expert. BF16 rows; a tile of up is 64 rows of gate and the same of up, so a thread has both.
__global__ void __launch_bounds__(kTileThreads, 1) moe_up_block_kernel(MoeKernels k) {
  wait_for_previous();
  const Assignment a = assignment_of_block(k);
  if (a.n == 0) return;
  const Moe& op = k.op;
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * BlockTile::kHalfRows;
  const bool is_shared = a.expert < 0;
  const auto first_token = is_shared ? a.first_pair - op.T * op.K : 0;
  const int64_t row_bytes = packed_row_bytes(op.C, RowFormat::kBf16);
  const TileTokens tokens = {.x = op.x.data + first_token * row_bytes,
                             .stride_bytes = row_bytes,
                             .rows = a.pairs,
                             .divisor = static_cast<int>(op.K),
                             .n = a.n};
  const int64_t hidden_bytes = packed_row_bytes(op.I, RowFormat::kBf16);
  const ExpertWeights& expert = is_shared ? k.shared : op.routed_on_gpu[a.expert];
  BlockTile::run({expert.w1, expert.w3, row0, row0}, tokens, [&](int r, int token, float gate, float up) {
    if (row0 + r >= op.I) return;
    const int pair = a.pair(token);
    const float weight = is_shared ? 1.0f : op.weights[pair];
    const float h = weight * swiglu_of(gate, up, op.swiglu_limit);
    reinterpret_cast<uint16_t*>(k.hidden + pair * hidden_bytes)[row0 + r] = bf16_code(h);
  });
}

__global__ void __launch_bounds__(kTileThreads, 1) moe_down_block_kernel(MoeKernels k) {
  wait_for_previous();
  const Assignment a = assignment_of_block(k);
  if (a.n == 0) return;
  const Moe& op = k.op;
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) * BlockTile::kRows;
  const int64_t hidden_bytes = packed_row_bytes(op.I, RowFormat::kBf16);
  const TileTokens tokens = {.x = k.hidden + a.first_pair * hidden_bytes,
                             .stride_bytes = hidden_bytes,
                             .rows = a.pairs,
                             .divisor = 1,
                             .n = a.n};
  const Weight& w = a.expert < 0 ? k.shared.w2 : op.routed_on_gpu[a.expert].w2;
  BlockTile::run({w, w, row0, row0 + BlockTile::kHalfRows}, tokens, [&](int r, int token, float first, float second) {
    float* y = k.outputs + a.pair(token) * op.C + row0;
    if (row0 + r < op.C) y[r] = first;
    if (row0 + r + BlockTile::kHalfRows < op.C) y[r + BlockTile::kHalfRows] = second;
  });
}

constexpr int kSumThreads = 256;

__global__ void __launch_bounds__(kSumThreads) moe_sum_kernel(MoeKernels k) {
  wait_for_previous();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kSumThreads + threadIdx.x;
  const Moe& op = k.op;
  if (index >= op.T * op.C) return;
  const int64_t t = index / op.C;
  const int64_t c = index % op.C;
  float sum = 0;
#pragma unroll 8
  for (int64_t i = 0; i < op.K; ++i) sum += k.outputs[(t * op.K + i) * op.C + c];
  if (op.shared != nullptr) sum += k.outputs[(op.T * op.K + t) * op.C + c];
  op.y[index] = sum;
}

template <class Tile>
void launch(CudaContext& context, MoeKernels k, int64_t n_experts, const MoeGpuLayout& layout) {
  const Moe& op = k.op;
  const RowFormat format = row_format(op.hidden_rounding);
  k.tokens_of_tile = Tile::kTokens;
  k.is_single_token = op.T == 1;
  k.n_routed_items = static_cast<int>(k.is_single_token ? op.K : layout.items_max);
  if (!k.is_single_token) {
    enqueue(context, 1, kListThreads, 0, moe_lists_kernel, k, static_cast<int>(n_experts));
  }
  const unsigned shared_items = op.shared != nullptr ? blocks_for(op.T, Tile::kTokens) : 0;
  const unsigned n_items = static_cast<unsigned>(k.n_routed_items) + shared_items;
  enqueue(context, dim3(blocks_for(op.I, Tile::kRows), n_items), kTileThreads, 0, moe_up_kernel<Tile>, k, format);
  if (op.hidden_rounding == ActivationRounding::kE4m3) {
    // In place: each block of 128 channels is read before it is written.
    const int64_t n_pairs = op.T * (op.K + (op.shared != nullptr ? 1 : 0));
    const PackedRows hidden = {.format = format, .T = n_pairs, .groups = 1, .K = op.I, .data = k.hidden};
    pack_rows_cuda(context, {.x = reinterpret_cast<const float*>(k.hidden),
                             .x_stride = hidden.k_padded(),
                             .rounding = op.hidden_rounding,
                             .out = hidden});
  }
  enqueue(context, dim3(blocks_for(op.C, Tile::kRows), n_items), kTileThreads, 0, moe_down_kernel<Tile>, k, format);
  enqueue(context, blocks_for(op.T * op.C, kSumThreads), kSumThreads, 0, moe_sum_kernel, k);
}

// BF16 rows of a single token.
void launch_for_one(CudaContext& context, MoeKernels k) {
  const Moe& op = k.op;
  k.tokens_of_tile = 1;
  k.is_single_token = true;
  k.n_routed_items = static_cast<int>(op.K);
  const unsigned n_items = static_cast<unsigned>(op.K) + (op.shared != nullptr ? 1 : 0);
  enqueue(context, dim3(blocks_for(op.I, kGateRows), n_items), kTileThreads, StagedTile::staged_bytes(op.C),
          moe_up_one_kernel, k);
  enqueue(context, dim3(blocks_for(op.C, StagedTile::kRows), n_items), kTileThreads, StagedTile::staged_bytes(op.I),
          moe_down_one_kernel, k);
  enqueue(context, blocks_for(op.T * op.C, kSumThreads), kSumThreads, 0, moe_sum_kernel, k);
}

// BF16 rows, many tokens.
void launch_blocks(CudaContext& context, MoeKernels k, int64_t n_experts, const MoeGpuLayout& layout, size_t bytes) {
  const Moe& op = k.op;
  k.tokens_of_tile = BlockTile::kTokens;
  k.n_routed_items = static_cast<int>(layout.items_max);
  enqueue(context, 1, kListThreads, 0, moe_lists_kernel, k, static_cast<int>(n_experts));
  const unsigned shared_items = op.shared != nullptr ? blocks_for(op.T, BlockTile::kTokens) : 0;
  const unsigned n_items = static_cast<unsigned>(k.n_routed_items) + shared_items;
  allow_shared_bytes(moe_up_block_kernel, bytes);
  allow_shared_bytes(moe_down_block_kernel, bytes);
  enqueue(context, dim3(blocks_for(op.I, BlockTile::kHalfRows), n_items), kTileThreads, bytes, moe_up_block_kernel, k);
  enqueue(context, dim3(blocks_for(op.C, BlockTile::kRows), n_items), kTileThreads, bytes, moe_down_block_kernel, k);
  enqueue(context, blocks_for(op.T * op.C, kSumThreads), kSumThreads, 0, moe_sum_kernel, k);
}

// Dynamic shared memory of a block for every matrix of these experts.
size_t block_tile_bytes(const Moe& op) {
  size_t bytes = 0;
  for (const ExpertWeights* expert : {&op.routed.front(), op.shared}) {
    if (expert == nullptr) continue;
    for (const Weight* w : {&expert->w1, &expert->w2, &expert->w3}) {
      bytes = std::max(bytes, BlockTile::shared_bytes(w->dtype));
    }
  }
  return bytes;
}

// From here on tiles of 128 tokens are filled well enough.
constexpr int64_t kBlockTileTokens = 40;

bool all_have_mma_tiles(const ExpertWeights& expert) {
  return has_mma_tiles(expert.w1) && has_mma_tiles(expert.w3) && has_mma_tiles(expert.w2);
}

}  // namespace

void moe_cuda(CudaContext& context, const Moe& op) {
  if (op.T == 0) return;
  const auto E = static_cast<int64_t>(op.routed.size());
  const MoeGpuLayout layout(op.T, E, op.K, op.C, op.I);
  const MoeKernels k = {.op = op,
                        .shared = op.shared != nullptr ? *op.shared : ExpertWeights(),
                        .n_routed_items = 0,
                        .tokens_of_tile = 0,
                        .is_single_token = false,
                        .hidden = op.scratch + layout.hidden,
                        .outputs = reinterpret_cast<float*>(op.scratch + layout.outputs),
                        .pairs = reinterpret_cast<int32_t*>(op.scratch + layout.pairs),
                        .items = reinterpret_cast<MoeItem*>(op.scratch + layout.items),
                        .n_items = reinterpret_cast<int32_t*>(op.scratch + layout.n_items)};
  const bool is_bf16 = op.x.format == RowFormat::kBf16 && op.hidden_rounding == ActivationRounding::kBf16;
  const bool is_mma =
      is_bf16 && all_have_mma_tiles(op.routed.front()) && (op.shared == nullptr || all_have_mma_tiles(*op.shared));
  // Mean tokens of an expert decide how many a tile takes.
  const int64_t tokens_of_expert = op.T * op.K / E;
  if (!is_mma) {
    op.T == 1 ? launch<LaneTile<4, 1>>(context, k, E, layout) : launch<LaneTile<4, 8>>(context, k, E, layout);
  } else if (op.T == 1 && std::max(op.C, op.I) <= StagedTile::kColumnsMax) {
    launch_for_one(context, k);
  } else if (tokens_of_expert <= 6) {
    launch<MmaTile<1>>(context, k, E, layout);
  } else if (tokens_of_expert <= 24) {
    launch<MmaTile<4>>(context, k, E, layout);
  } else if (const size_t bytes = block_tile_bytes(op);
             tokens_of_expert >= kBlockTileTokens && bytes <= static_cast<size_t>(context.shared_bytes_max)) {
    launch_blocks(context, k, E, layout, bytes);
  } else {
    launch<MmaTile<8>>(context, k, E, layout);
  }
  context.check_launch("moe");
}

}  // namespace hadal::ops
