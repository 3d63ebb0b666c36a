// Sparse attention on tensor cores, with float accuracy: a block has 16 heads of a token and walks parts of 64 rows.
//
//   q = q0 + q1 + q2, each BF16: 24 bits together; rows decoded from FP8, FP4 or BF16 are BF16 numbers exactly
//   z = scale (q0 + q1 + q2) kv      three products, added in F32; likewise w = w0 + w1 + w2 times kv
//
// With few tokens the parts of a token run in blocks of their own and a second kernel adds them; with many, a block
// walks all parts of its token. Both add the same numbers in the same order (attention_rows.cuh). The tokens are those
// of all sequences of a list.
//
// Shared memory: 64 rows x 520 x 2 B = 65 KB, q 3 x 16 x 520 x 2 B = 49 KB (520: rows fall into different banks),
// weights 3 x 16 x 72 x 2 B = 7 KB, scores 4 KB. Other widths and float rows: attention_lanes_kernel.

#include <cuda_bf16.h>

#include "ops/cuda_kernels.cuh"
#include "ops/cuda_mma.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/linear/bf16_codecs.cuh"
#include "ops/sparse_attention/attention_rows.cuh"

namespace hadal::ops {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarp;
constexpr int kRows = kAttentionSplitRows;
constexpr int kHeads = kAttentionHeadsOfTile;
constexpr int kD = 512;
constexpr int kPitch = kD + 8;  // channels between rows in shared memory
constexpr int kWeightPitch = kRows + 8;
constexpr int kTerms = 3;  // BF16 numbers that add up to a float
constexpr int kChannelsOfWarp = kD / kWarps;
constexpr int kColumnTiles = kChannelsOfWarp / 8;

struct Shared {
  const std::byte* rows[kRows];
  alignas(16) uint16_t kv[kRows][kPitch];
  alignas(16) uint16_t q[kTerms][kHeads][kPitch];
  uint16_t weights[kTerms][kHeads][kWeightPitch];
  float scores[kHeads][kRows + 1];
  float m[kHeads];  // of the parts so far, with the sink
  float l[kHeads];
  float part_m[kHeads];
  float part_l[kHeads];
  float factor_so_far[kHeads];
  float factor_part[kHeads];
};

__device__ void store_terms(float v, uint16_t* to, int term_stride) {
#pragma unroll
  for (int term = 0; term < kTerms; ++term) {
    const uint16_t code = bf16_code(v);
    to[term * term_stride] = code;
    v -= bf16_value(code);
  }
}

// Four neighbours at an 8-byte boundary.
__device__ void store_terms(float4 v, uint16_t* to, int term_stride) {
#pragma unroll
  for (int term = 0; term < kTerms; ++term) {
    const uint16_t codes[4] = {bf16_code(v.x), bf16_code(v.y), bf16_code(v.z), bf16_code(v.w)};
    *reinterpret_cast<uint2*>(to + term * term_stride) = {codes[0] | static_cast<uint32_t>(codes[1]) << 16,
                                                          codes[2] | static_cast<uint32_t>(codes[3]) << 16};
    v.x -= bf16_value(codes[0]);
    v.y -= bf16_value(codes[1]);
    v.z -= bf16_value(codes[2]);
    v.w -= bf16_value(codes[3]);
  }
}

// Two BF16 numbers at a 4-byte boundary of shared memory.
__device__ uint32_t pair_at(const uint16_t* p) {
  return *reinterpret_cast<const uint32_t*>(p);
}

// Eight E4M3 codes with one scale as eight BF16 numbers in order.
__device__ uint4 widen_8(uint2 codes, uint8_t e8m0) {
  constexpr uint32_t kTwo120 = 0x7B807B80;
  const uint32_t scale = static_cast<uint32_t>(e8m0) << 7 | static_cast<uint32_t>(e8m0) << 23;
  uint32_t out[4];
  const uint32_t words[2] = {codes.x, codes.y};
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const uint32_t w = words[i];
    const uint32_t even = times_bf16(times_bf16((w << 4 & 0x07F007F0) | (w << 8 & 0x80008000), kTwo120), scale);
    const uint32_t odd = times_bf16(times_bf16((w >> 4 & 0x07F007F0) | (w & 0x80008000), kTwo120), scale);
    out[2 * i] = __byte_perm(even, odd, 0x5410);
    out[2 * i + 1] = __byte_perm(even, odd, 0x7632);
  }
  return {out[0], out[1], out[2], out[3]};
}

// Eight channels from d on of a stored row, as BF16. Rows are aligned to 8 bytes.
__device__ uint4 decode_fp8(const SparseAttention& op, const std::byte* row, int d) {
  const auto rope_dim = static_cast<int>(op.rope_dim);
  const int nope = kD - rope_dim;
  if (d < nope) {
    const auto* scales = reinterpret_cast<const uint8_t*>(row + nope + 2 * rope_dim);
    return widen_8(*reinterpret_cast<const uint2*>(row + d), scales[d / kFp8RowBlock]);
  }
  const auto* rope = reinterpret_cast<const uint2*>(row + nope + 2 * (d - nope));
  return {rope[0].x, rope[0].y, rope[1].x, rope[1].y};
}

// The same for every format.
__device__ uint4 decode_8(const SparseAttention& op, const std::byte* row, int d) {
  const auto rope_dim = static_cast<int>(op.rope_dim);
  uint32_t pairs[4];
#pragma unroll
  for (int p = 0; p < 4; ++p) {
    const uint32_t low = bf16_code(stored_channel(op.format, row, kD, rope_dim, d + 2 * p));
    const uint32_t high = bf16_code(stored_channel(op.format, row, kD, rope_dim, d + 2 * p + 1));
    pairs[p] = low | high << 16;
  }
  return {pairs[0], pairs[1], pairs[2], pairs[3]};
}

__device__ void load_queries(const SparseAttention& op, int64_t t, int64_t head0, Shared& shared) {
  const auto* q = reinterpret_cast<const float4*>(op.q + (t * op.H + head0) * kD);
#pragma unroll 4
  for (int l = 0; l < kHeads * kD / 4 / kThreads; ++l) {
    const int piece = l * kThreads + static_cast<int>(threadIdx.x);
    store_terms(q[piece], &shared.q[0][4 * piece / kD][4 * piece % kD], kHeads * kPitch);
  }
}

// Rows behind the list become zeros; their scores are cut below.
__device__ void load_rows(const SparseAttention& op, const RowList& rows, int64_t t, int64_t first, Shared& shared) {
  // Where a row lies takes up to three dependent loads: done for all rows at once.
  if (threadIdx.x < kRows) {
    const int64_t r = first + threadIdx.x;
    shared.rows[threadIdx.x] = r < rows.n ? attention_row(op, rows, t, r) : nullptr;
  }
  __syncthreads();
  const auto fill = [&](int piece, const auto& decode) {
    const int r = piece / (kD / 8);
    const int d = piece % (kD / 8) * 8;
    const std::byte* row = shared.rows[r];
    *reinterpret_cast<uint4*>(&shared.kv[r][d]) = row != nullptr ? decode(op, row, d) : uint4{};
  };
  constexpr int kPieces = kRows * kD / 8;
  // With few tokens a block's time is latency, that of fetching instructions included: the widest loop is FP8's alone.
  if (op.format == KvFormat::kFp8) {
#pragma unroll 8
    for (int piece = static_cast<int>(threadIdx.x); piece < kPieces; piece += kThreads) fill(piece, decode_fp8);
  } else {
#pragma unroll 1
    for (int piece = static_cast<int>(threadIdx.x); piece < kPieces; piece += kThreads) fill(piece, decode_8);
  }
}

// scores[head][row]: each warp has 8 rows of all heads.
__device__ void score_rows(const SparseAttention& op, int n_rows, Shared& shared) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int g = static_cast<int>(threadIdx.x) % kWarp / 4;
  const int i = static_cast<int>(threadIdx.x) % 4;
  const uint16_t* kv = shared.kv[8 * warp + g] + 2 * i;
  float sums[kTerms][4] = {};
#pragma unroll 4
  for (int k = 0; k < kD; k += 16) {
    const uint32_t b0 = pair_at(kv + k);
    const uint32_t b1 = pair_at(kv + k + 8);
#pragma unroll
    for (int term = 0; term < kTerms; ++term) {
      const uint16_t* a = &shared.q[term][g][k + 2 * i];
      const uint16_t* b = &shared.q[term][g + 8][k + 2 * i];
      mma_bf16(sums[term], pair_at(a), pair_at(b), pair_at(a + 8), pair_at(b + 8), b0, b1);
    }
  }
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const int row = 8 * warp + 2 * i + e % 2;
    const float z = (sums[0][e] + (sums[1][e] + sums[2][e])) * op.scale;
    shared.scores[g + e / 2 * 8][row] = row < n_rows ? z : -INFINITY;
  }
}

// Scores to weights: each warp has two heads.
__device__ void weigh_rows(Shared& shared) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
  for (int of_warp = 0; of_warp < kHeads / kWarps; ++of_warp) {
    const int h = static_cast<int>(threadIdx.x) / kWarp * (kHeads / kWarps) + of_warp;
    const float z0 = shared.scores[h][lane];
    const float z1 = shared.scores[h][lane + kWarp];
    const float m = warp_max(fmaxf(z0, z1));
    const float w0 = expf(z0 - m);
    const float w1 = expf(z1 - m);
    const float l = warp_sum(w0 + w1);
    store_terms(w0, &shared.weights[0][h][lane], kHeads * kWeightPitch);
    store_terms(w1, &shared.weights[0][h][lane + kWarp], kHeads * kWeightPitch);
    if (lane == 0) {
      shared.part_m[h] = m;
      shared.part_l[h] = l;
      const Factors f = fold_part(shared.m[h], shared.l[h], m, l);
      shared.factor_so_far[h] = f.so_far;
      shared.factor_part[h] = f.part;
    }
  }
}

// The right operand of two products: rows k .. k + 15, channels d .. d + 15, transposed on the way.
__device__ void load_columns(const Shared& shared, int k, int d, uint32_t (&b)[4]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const uint16_t* row = &shared.kv[k + lane % 16][d + lane / 16 * 8];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row))));
}

using Channels = float[kColumnTiles][4];

// sums[head, channel] over the part's rows: each warp has 64 channels of all heads.
__device__ void sum_rows(const Shared& shared, Channels& sums) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int g = static_cast<int>(threadIdx.x) % kWarp / 4;
  const int i = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
  for (int k = 0; k < kRows; k += 16) {
    uint32_t w[kTerms][4];
#pragma unroll
    for (int term = 0; term < kTerms; ++term) {
      const uint16_t* a = &shared.weights[term][g][k + 2 * i];
      const uint16_t* b = &shared.weights[term][g + 8][k + 2 * i];
      w[term][0] = pair_at(a);
      w[term][1] = pair_at(b);
      w[term][2] = pair_at(a + 8);
      w[term][3] = pair_at(b + 8);
    }
#pragma unroll
    for (int c = 0; c < kColumnTiles; c += 2) {
      uint32_t b[4];
      load_columns(shared, k, kChannelsOfWarp * warp + 8 * c, b);
#pragma unroll
      for (int term = 0; term < kTerms; ++term) {
        mma_bf16(sums[c], w[term][0], w[term][1], w[term][2], w[term][3], b[0], b[1]);
        mma_bf16(sums[c + 1], w[term][0], w[term][1], w[term][2], w[term][3], b[2], b[3]);
      }
    }
  }
}

// f(head, channel, value's place in a Channels) for what this thread holds.
template <class F>
__device__ void for_each_channel(const F& f) {
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int g = static_cast<int>(threadIdx.x) % kWarp / 4;
  const int i = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
  for (int c = 0; c < kColumnTiles; ++c) {
#pragma unroll
    for (int e = 0; e < 4; ++e) f(g + e / 2 * 8, kChannelsOfWarp * warp + 8 * c + 2 * i + e % 2, c, e);
  }
}

// t: among the tokens of the launch.
__device__ float* part_of(const SparseAttention& op, int64_t n_splits, int64_t t, int64_t h, int64_t split) {
  const int64_t index = (t * op.H + h) * n_splits + split;
  return reinterpret_cast<float*>(op.scratch) + index * attention_part_floats(op.D);
}

// kIsSplit: block (part, heads, token) leaves its part in scratch. Otherwise block (heads, token) walks all parts.
template <bool kIsSplit, int kOps>
__global__ void __launch_bounds__(kThreads, 1)
    attention_mma_kernel(const __grid_constant__ OpBatch<SparseAttention, kOps> batch) {
  wait_for_previous();
  extern __shared__ __align__(16) unsigned char memory[];
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  const auto of_launch = static_cast<int>(kIsSplit ? blockIdx.z : blockIdx.y);
  const int in_batch = batch.op_of(of_launch);
  const SparseAttention& op = batch.ops[in_batch];
  const int64_t t = of_launch - batch.first[in_batch];
  const int64_t head0 = static_cast<int64_t>(kIsSplit ? blockIdx.y : blockIdx.x) * kHeads;
  const RowList rows = rows_of_token(op, t);
  const int64_t begin = kIsSplit ? static_cast<int64_t>(blockIdx.x) * kRows : 0;
  const int64_t end = kIsSplit ? min(begin + kRows, rows.n) : rows.n;
  if (kIsSplit && begin >= end) return;

  load_queries(op, t, head0, shared);
  if (threadIdx.x < kHeads) {
    shared.m[threadIdx.x] = op.sink[head0 + threadIdx.x];
    shared.l[threadIdx.x] = 1;
  }
  // A token without rows has no other barrier before its sums are divided.
  __syncthreads();
  Channels out{};
  for (int64_t first = begin; first < end; first += kRows) {
    load_rows(op, rows, t, first, shared);
    __syncthreads();
    score_rows(op, static_cast<int>(min(static_cast<int64_t>(kRows), end - first)), shared);
    __syncthreads();
    weigh_rows(shared);
    __syncthreads();
    Channels part{};
    sum_rows(shared, part);
    if constexpr (kIsSplit) {
      for_each_channel([&](int h, int d, int c, int e) {
        part_of(op, gridDim.x, of_launch, head0 + h, blockIdx.x)[2 + d] = part[c][e];
      });
      if (threadIdx.x < kHeads) {
        float* to = part_of(op, gridDim.x, of_launch, head0 + threadIdx.x, blockIdx.x);
        to[0] = shared.part_m[threadIdx.x];
        to[1] = shared.part_l[threadIdx.x];
      }
    } else {
      for_each_channel([&](int h, int, int c, int e) {
        out[c][e] = folded(out[c][e], part[c][e], {shared.factor_so_far[h], shared.factor_part[h]});
      });
    }
    __syncthreads();
  }
  if constexpr (!kIsSplit) {
    for_each_channel(
        [&](int h, int d, int c, int e) { op.out[(t * op.H + head0 + h) * kD + d] = out[c][e] / shared.l[h]; });
  }
}

constexpr int kFoldThreads = 128;

// Adds the parts of a token and head, of which scratch has room for n_splits_max.
template <int kOps>
__global__ void __launch_bounds__(kFoldThreads)
    fold_parts_kernel(const __grid_constant__ OpBatch<SparseAttention, kOps> batch, int64_t n_splits_max) {
  wait_for_previous();
  const int64_t h = blockIdx.x;
  const auto of_launch = static_cast<int>(blockIdx.y);
  const int in_batch = batch.op_of(of_launch);
  const SparseAttention& op = batch.ops[in_batch];
  const int64_t t = of_launch - batch.first[in_batch];
  const RowList rows = rows_of_token(op, t);
  constexpr int kOfThread = kD / kFoldThreads;
  float m = op.sink[h];
  float l = 1;
  float o[kOfThread] = {};
  const int64_t n_splits = (rows.n + kRows - 1) / kRows;
#pragma unroll 4
  for (int64_t split = 0; split < n_splits; ++split) {
    const float* part = part_of(op, n_splits_max, of_launch, h, split);
    const Factors f = fold_part(m, l, part[0], part[1]);
#pragma unroll
    for (int i = 0; i < kOfThread; ++i) o[i] = folded(o[i], part[2 + threadIdx.x + i * kFoldThreads], f);
  }
  float* out = op.out + (t * op.H + h) * kD + threadIdx.x;
#pragma unroll
  for (int i = 0; i < kOfThread; ++i) out[i * kFoldThreads] = o[i] / l;
}

// Float arithmetic for every width and format: a block a head of a token, warps share the rows of a part.
template <int kOps>
__global__ void __launch_bounds__(kThreads)
    attention_lanes_kernel(const __grid_constant__ OpBatch<SparseAttention, kOps> batch) {
  wait_for_previous();
  extern __shared__ float out[];  // [D]
  __shared__ float scores[kRows];
  const int64_t h = blockIdx.x;
  const int in_batch = batch.op_of(static_cast<int>(blockIdx.y));
  const SparseAttention& op = batch.ops[in_batch];
  const int64_t t = static_cast<int>(blockIdx.y) - batch.first[in_batch];
  const int D = static_cast<int>(op.D);
  const auto rope_dim = static_cast<int>(op.rope_dim);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const RowList rows = rows_of_token(op, t);
  const float* q = op.q + (t * op.H + h) * D;
  float m = op.sink[h];
  float l = 1;
  for (int d = static_cast<int>(threadIdx.x); d < D; d += kThreads) out[d] = 0;
  for (int64_t first = 0; first < rows.n; first += kRows) {
    const int n = static_cast<int>(min(static_cast<int64_t>(kRows), rows.n - first));
    for (int r = warp; r < n; r += kWarps) {
      const std::byte* row = attention_row(op, rows, t, first + r);
      float dot = 0;
      for (int d = lane; d < D; d += kWarp) dot = fmaf(q[d], stored_channel(op.format, row, D, rope_dim, d), dot);
      dot = warp_sum(dot);
      if (lane == 0) scores[r] = dot * op.scale;
    }
    __syncthreads();
    const float z0 = lane < n ? scores[lane] : -INFINITY;
    const float z1 = lane + kWarp < n ? scores[lane + kWarp] : -INFINITY;
    const float part_m = warp_max(fmaxf(z0, z1));
    const float part_l = warp_sum(expf(z0 - part_m) + expf(z1 - part_m));
    const Factors f = fold_part(m, l, part_m, part_l);
    for (int d = static_cast<int>(threadIdx.x); d < D; d += kThreads) {
      float part = 0;
      for (int r = 0; r < n; ++r) {
        const std::byte* row = attention_row(op, rows, t, first + r);
        part = fmaf(expf(scores[r] - part_m), stored_channel(op.format, row, D, rope_dim, d), part);
      }
      out[d] = folded(out[d], part, f);
    }
    __syncthreads();
  }
  for (int d = static_cast<int>(threadIdx.x); d < D; d += kThreads) op.out[(t * op.H + h) * D + d] = out[d] / l;
}

// Whether rows can be read 8 bytes at a time (entries in pages are the caller's promise, the header says so) and the
// GPU has the shared memory: 227 KB of a data center's, not the 99 KB of an RTX.
bool has_mma_rows(const CudaContext& context, const SparseAttention& op) {
  return static_cast<int64_t>(sizeof(Shared)) <= context.shared_bytes_max && op.D == kD && op.H % kHeads == 0 &&
         op.rope_dim % 8 == 0 && op.format != KvFormat::kF32 && op.window_row_bytes % 8 == 0;
}

template <int kOps>
void launch(CudaContext& context, const OpBatch<SparseAttention, kOps>& batch, int64_t rows_max) {
  const SparseAttention& any = batch.ops[0];
  const auto T = static_cast<unsigned>(batch.n_items());
  const auto H = static_cast<unsigned>(any.H);
  if (!has_mma_rows(context, any)) {
    const auto shared_bytes = static_cast<size_t>(any.D) * sizeof(float);
    enqueue(context, dim3(H, T), kThreads, shared_bytes, attention_lanes_kernel<kOps>, batch);
    return;
  }
  const bool is_split = T <= kAttentionSplitTokensMax;
  const auto kernel = is_split ? attention_mma_kernel<true, kOps> : attention_mma_kernel<false, kOps>;
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Shared));
  const int64_t n_splits = attention_n_splits(rows_max);
  const dim3 grid = is_split ? dim3(static_cast<unsigned>(n_splits), H / kHeads, T) : dim3(H / kHeads, T);
  enqueue(context, grid, kThreads, sizeof(Shared), kernel, batch);
  if (is_split) enqueue(context, dim3(H, T), kFoldThreads, 0, fold_parts_kernel<kOps>, batch, n_splits);
}

}  // namespace

void sparse_attention_cuda(CudaContext& context, const SparseAttention* ops, int64_t n) {
  const std::span<const SparseAttention> all(ops, static_cast<size_t>(n));
  int64_t rows_max = 0;
  for (const SparseAttention& op : all) rows_max = std::max(rows_max, op.rows_max);
  const auto tokens_of = [](const SparseAttention& op) { return op.T; };
  for_batches(all, tokens_of,
              [&]<int kOps>(const OpBatch<SparseAttention, kOps>& batch) { launch(context, batch, rows_max); });
  context.check_launch("sparse_attention");
}

}  // namespace hadal::ops
