// The indexer on a GPU: scores of all visible keys into scratch, then the best of them.
//
// FP4 keys of 128 channels run on tensor cores: a lane's 16 bytes of a key are one scale's block, widened to BF16 as in
// linear (bf16_codecs.cuh); 16 heads are the rows of a product, 8 keys its columns, and a warp keeps all heads of the
// query in registers while it walks the keys. Order: a product's over the 128 channels, heads h, h + 8 of each lane's
// tiles ascending, then lanes by a tree. Other keys run in float arithmetic, a warp a key: channels l, l + 32, ... of
// a lane, then the tree, heads ascending.
//
// The best of them are found by topk_cuda.cuh; the kernels here count the histogram that it starts from.

#include <algorithm>

#include "ops/cuda_kernels.cuh"
#include "ops/cuda_mma.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/index_select/index_select.h"
#include "ops/index_select/topk_cuda.cuh"
#include "ops/kv_rows/kv_rows_cuda.cuh"
#include "ops/linear/bf16_codecs.cuh"

namespace hadal::ops {
namespace {

constexpr int kScoreWarps = 8;
constexpr int kScoreThreads = kScoreWarps * kWarp;

// The scratch of a launch; t: among its tokens.
struct Scratch {
  std::byte* base;
  IndexSelectGpuLayout layout;
  int64_t visible_max;

  __device__ TopkCounts& counts(int64_t t) const { return reinterpret_cast<TopkCounts*>(base)[t]; }
  __device__ uint64_t* candidates(int64_t t) const {
    return reinterpret_cast<uint64_t*>(base + layout.candidates) + t * kTopkCandidatesMax;
  }
  __device__ float* scores(int64_t t) const { return reinterpret_cast<float*>(base + layout.scores) + t * visible_max; }
};

// A token of a launch: of which op, which of its tokens.
template <int kOps>
struct Token {
  const IndexSelect& op;
  int64_t t;
  int64_t of_launch;

  __device__ Token(const OpBatch<IndexSelect, kOps>& batch, unsigned of_launch_)
      : Token(batch, batch.op_of(static_cast<int>(of_launch_)), static_cast<int>(of_launch_)) {}
  __device__ Token(const OpBatch<IndexSelect, kOps>& batch, int in_batch, int of_launch_)
      : op(batch.ops[in_batch]), t(of_launch_ - batch.first[in_batch]), of_launch(of_launch_) {}
  __device__ float* scores(const Scratch& scratch) const {
    return op.scores != nullptr ? op.scores + t * op.scores_stride : scratch.scores(of_launch);
  }
};

// Whether token t takes all its entries and nobody asked for scores.
__device__ bool takes_all(const IndexSelect& op, int64_t t) {
  return op.scores == nullptr && op.visible[t] <= op.topk;
}

// --- scores of FP4 keys ----------------------------------------------------------------------------------------------

constexpr int kD = 128;
constexpr int kPairs = Fp4Codec::kWeights / 2;

// Channels 32 i .. 32 i + 31 of a query's head, rounded to E2M1 as keys are, in the pairs of Fp4Codec.
__device__ void load_query(const float* q, uint32_t (&pairs)[kPairs]) {
  float v[32];
  float amax = 0;
#pragma unroll
  for (int d = 0; d < 32; ++d) {
    v[d] = q[d];
    amax = fmaxf(amax, fabsf(v[d]));
  }
  const int e = e2m1_exponent(amax);
#pragma unroll
  for (int p = 0; p < kPairs; ++p) {
    const int d = p / 4 * 8 + p % 4;
    pairs[p] = bf16_code(round_e2m1(v[d], e)) | static_cast<uint32_t>(bf16_code(round_e2m1(v[d + 4], e))) << 16;
  }
}

// The lane's 16 bytes of a key and their scale. Rows are aligned to 4 bytes.
__device__ void load_key(const std::byte* row, int i, uint32_t (&pairs)[kPairs]) {
  const auto* words = reinterpret_cast<const uint32_t*>(row) + 4 * i;
  const uint4 raw = {words[0], words[1], words[2], words[3]};
  Fp4Codec::widen(raw, Fp4Codec::scale_of(static_cast<uint8_t>(row[kD / 2 + i])), pairs);
}

// kTiles: heads / 16.
template <int kTiles, int kOps>
__global__ void __launch_bounds__(kScoreThreads)
    index_scores_fp4_kernel(const __grid_constant__ OpBatch<IndexSelect, kOps> batch, Scratch scratch) {
  wait_for_previous();
  const Token token(batch, blockIdx.y);
  const IndexSelect& op = token.op;
  const int64_t t = token.t;
  if (takes_all(op, t)) return;
  const int64_t visible = op.visible[t];
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int g = lane / 4;
  const int i = lane % 4;
  const int64_t first_warp = static_cast<int64_t>(blockIdx.x) * kScoreWarps + threadIdx.x / kWarp;
  const int64_t n_warps = static_cast<int64_t>(gridDim.x) * kScoreWarps;
  if (static_cast<int64_t>(blockIdx.x) * kScoreWarps * 8 >= visible) return;

  // Each thread rounds one head's 32 channels, or none; then every warp takes all of them into registers.
  __shared__ uint4 rounded[2 * kTiles][kWarp][kPairs / 4];
  __shared__ int bins[kTopkBins];
  clear_bins(bins);
  if (threadIdx.x < 2 * kTiles * kWarp) {
    const int64_t h = 8 * (threadIdx.x / kWarp) + g;
    uint32_t pairs[kPairs];
    load_query(op.q + (t * op.H + h) * kD + 32 * i, pairs);
#pragma unroll
    for (int p = 0; p < kPairs / 4; ++p) {
      rounded[threadIdx.x / kWarp][lane][p] = {pairs[4 * p], pairs[4 * p + 1], pairs[4 * p + 2], pairs[4 * p + 3]};
    }
  }
  __syncthreads();
  uint32_t queries[2 * kTiles][kPairs];
  float w[2 * kTiles];
#pragma unroll
  for (int half = 0; half < 2 * kTiles; ++half) {
#pragma unroll
    for (int p = 0; p < kPairs / 4; ++p) {
      const uint4 four = rounded[half][lane][p];
      queries[half][4 * p] = four.x;
      queries[half][4 * p + 1] = four.y;
      queries[half][4 * p + 2] = four.z;
      queries[half][4 * p + 3] = four.w;
    }
    w[half] = op.w[t * op.H + 8 * half + g] * op.w_scale * Fp4Codec::kUndo;
  }
  float* scores = token.scores(scratch);
  for (int64_t key0 = first_warp * 8; key0 < visible; key0 += n_warps * 8) {
    uint32_t keys[kPairs];
    load_key(paged_row(op.keys, min(key0 + g, visible - 1)), i, keys);
    float even = 0;
    float odd = 0;
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      float dots[4] = {};
      const auto& a = queries[2 * tile];
      const auto& b = queries[2 * tile + 1];
#pragma unroll
      for (int p = 0; p < kPairs; p += 2) mma_bf16(dots, a[p], b[p], a[p + 1], b[p + 1], keys[p], keys[p + 1]);
      even = fmaf(w[2 * tile], fmaxf(dots[0], 0.0f), even);
      odd = fmaf(w[2 * tile], fmaxf(dots[1], 0.0f), odd);
      even = fmaf(w[2 * tile + 1], fmaxf(dots[2], 0.0f), even);
      odd = fmaf(w[2 * tile + 1], fmaxf(dots[3], 0.0f), odd);
    }
#pragma unroll
    for (int distance = 16; distance >= 4; distance /= 2) {
      even += __shfl_xor_sync(kAllLanes, even, distance);
      odd += __shfl_xor_sync(kAllLanes, odd, distance);
    }
    const int64_t key = key0 + 2 * i;
    if (g == 0 && key < visible) count_score(scores[key] = even, bins);
    if (g == 0 && key + 1 < visible) count_score(scores[key + 1] = odd, bins);
  }
  add_bins(bins, scratch.counts(token.of_launch));
}

// --- scores of other keys --------------------------------------------------------------------------------------------

constexpr int kChannelsOfLaneMax = 16;  // 512 channels

template <int kOps>
__global__ void __launch_bounds__(kScoreThreads)
    index_scores_kernel(const __grid_constant__ OpBatch<IndexSelect, kOps> batch, Scratch scratch) {
  wait_for_previous();
  const Token token(batch, blockIdx.y);
  const IndexSelect& op = token.op;
  const int64_t t = token.t;
  if (takes_all(op, t)) return;
  const int64_t visible = op.visible[t];
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int D = static_cast<int>(op.D);
  const bool is_fp4 = op.keys.format == KvFormat::kFp4;
  float* scores = token.scores(scratch);
  __shared__ int bins[kTopkBins];
  clear_bins(bins);
  __syncthreads();
  const int64_t n_warps = static_cast<int64_t>(gridDim.x) * kScoreWarps;
  for (int64_t j = static_cast<int64_t>(blockIdx.x) * kScoreWarps + threadIdx.x / kWarp; j < visible; j += n_warps) {
    const std::byte* row = paged_row(op.keys, j);
    float key[kChannelsOfLaneMax];
#pragma unroll
    for (int c = 0; c < kChannelsOfLaneMax; ++c) {
      const int d = c * kWarp + lane;
      key[c] = d < D ? stored_channel(op.keys.format, row, D, 0, d) : 0;
    }
    float score = 0;
    for (int64_t h = 0; h < op.H; ++h) {
      const float* q = op.q + (t * op.H + h) * D;
      float dot = 0;
#pragma unroll
      for (int c = 0; c < kChannelsOfLaneMax; ++c) {
        const int d = c * kWarp + lane;
        if (c * kWarp >= D) break;
        float v = d < D ? q[d] : 0;
        if (is_fp4) v = round_e2m1(v, e2m1_exponent(warp_max(fabsf(v))));
        dot = fmaf(v, key[c], dot);
      }
      score = fmaf(op.w[t * op.H + h] * op.w_scale, fmaxf(warp_sum(dot), 0.0f), score);
    }
    if (lane == 0) count_score(scores[j] = score, bins);
  }
  add_bins(bins, scratch.counts(token.of_launch));
}

// --- selection -------------------------------------------------------------------------------------------------------

template <int kOps>
__global__ void __launch_bounds__(kCollectThreads)
    collect_kernel(const __grid_constant__ OpBatch<IndexSelect, kOps> batch, Scratch scratch) {
  wait_for_previous();
  const Token token(batch, blockIdx.y);
  const IndexSelect& op = token.op;
  const int64_t visible = op.visible[token.t];
  if (visible <= op.topk) return;
  collect_candidates(token.scores(scratch), static_cast<int>(visible), static_cast<int>(op.topk),
                     scratch.counts(token.of_launch), scratch.candidates(token.of_launch));
}

template <int kOps>
__global__ void __launch_bounds__(kSelectThreads)
    select_kernel(const __grid_constant__ OpBatch<IndexSelect, kOps> batch, Scratch scratch) {
  wait_for_previous();
  extern __shared__ __align__(16) unsigned char memory[];
  const Token token(batch, blockIdx.x);
  const IndexSelect& op = token.op;
  const int64_t t = token.t;
  const auto visible = static_cast<int>(op.visible[t]);
  const auto topk = static_cast<int>(op.topk);
  int32_t* chosen = op.chosen + t * op.topk;
  if (threadIdx.x == 0) op.n_chosen[t] = min(visible, topk);
  if (visible > topk) {
    const int n = scratch.counts(token.of_launch).n_candidates;
    if (n <= kTopkCandidatesMax && topk <= kTopkOfCandidatesMax) {
      return select_candidates(scratch.candidates(token.of_launch), n, topk, chosen,
                               *reinterpret_cast<SelectMemory*>(memory));
    }
    return select_from_all(token.scores(scratch), visible, topk, chosen);
  }
  for (int j = static_cast<int>(threadIdx.x); j < visible; j += kSelectThreads) chosen[j] = j;
}

template <int kOps>
void launch_scores(CudaContext& context, const OpBatch<IndexSelect, kOps>& batch, const Scratch& scratch) {
  const IndexSelect& any = batch.ops[0];
  const int64_t T = batch.n_items();
  cudaMemsetAsync(scratch.base, 0, static_cast<size_t>(T) * sizeof(TopkCounts), context.stream);
  // A block a multiprocessor; with many tokens fewer, that each walks more keys of its token.
  const int64_t tiles = (scratch.visible_max + 8 * kScoreWarps - 1) / (8 * kScoreWarps);
  const int64_t blocks = std::clamp<int64_t>(context.n_multiprocessors / T, 4, std::max<int64_t>(tiles, 4));
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(T));
  const bool is_mma = any.keys.format == KvFormat::kFp4 && any.D == kD;
  if (is_mma && any.H == 64) {
    enqueue(context, grid, kScoreThreads, 0, index_scores_fp4_kernel<4, kOps>, batch, scratch);
  } else if (is_mma && any.H == 32) {
    enqueue(context, grid, kScoreThreads, 0, index_scores_fp4_kernel<2, kOps>, batch, scratch);
  } else {
    enqueue(context, grid, kScoreThreads, 0, index_scores_kernel<kOps>, batch, scratch);
  }
  const unsigned slices = blocks_for(std::max<int64_t>(scratch.visible_max, 1), kScoresOfSlice);
  enqueue(context, dim3(slices, static_cast<unsigned>(T)), kCollectThreads, 0, collect_kernel<kOps>, batch, scratch);
}

}  // namespace

void index_select_cuda(CudaContext& context, const IndexSelect* ops, int64_t n) {
  const std::span<const IndexSelect> all(ops, static_cast<size_t>(n));
  int64_t visible_max = 0;
  for (const IndexSelect& op : all) visible_max = std::max(visible_max, op.visible_max);
  const auto tokens_of = [](const IndexSelect& op) { return op.T; };
  for_batches(all, tokens_of, [&]<int kOps>(const OpBatch<IndexSelect, kOps>& batch) {
    const IndexSelect& any = batch.ops[0];
    const Scratch scratch = {any.scratch, IndexSelectGpuLayout(batch.n_items(), visible_max), visible_max};
    if (visible_max > any.topk || any.scores != nullptr) launch_scores(context, batch, scratch);
    cudaFuncSetAttribute(select_kernel<kOps>, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(SelectMemory));
    enqueue(context, static_cast<unsigned>(batch.n_items()), kSelectThreads, sizeof(SelectMemory), select_kernel<kOps>,
            batch, scratch);
  });
  context.check_launch("index_select");
}

}  // namespace hadal::ops
