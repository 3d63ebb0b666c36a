// The lightning indexer: scores of all visible compressed entries for a query, and exactly the best topk of them.
//
//   I[j] = sum_h w[h] max(0, q[h] . k[j]),   j < visible
//   chosen: the min(topk, visible) largest; equal scores: the lower j wins; in ascending order of j
//
// Two levels (V4.1): a block's score is the largest of its block_size entries', of those that the token sees; the block
// of the newest entry wins over all. best_blocks are the min(topk_blocks, blocks seen) best; with in_blocks only the
// entries of those blocks are scored and chosen from.
//
// No softmax, no bias; w may be negative. With FP4 keys the query is rounded as they were (E2M1, a power-of-two scale
// per 32 channels: the release rounds both or neither); rounding it twice changes nothing. Source: DeepSeek-V3.2 (DSA);
// Indexer of the V4 release's inference/model.py, which leaves ties to its top-k.
#pragma once

#include <span>

#include "device/device.h"
#include "ops/kv_rows/kv_rows.h"
#include "ops/versions.h"

namespace hadal::ops {

struct IndexSelect {
  const float* q = nullptr;          // [T, H, D]
  const float* w = nullptr;          // [T, H]
  float w_scale = 1;                 // of every w, multiplied first: D^-1/2 H^-1/2
  PagedRows keys;                    // [max visible, D]
  const int64_t* visible = nullptr;  // [T] entries that token t sees
  int32_t* chosen = nullptr;         // [T, topk] out, ascending; unused slots are left alone
  int64_t* n_chosen = nullptr;       // [T] out: min(topk, visible)
  float* scores = nullptr;           // [T, scores_stride] out, or null; minus infinity outside in_blocks
  int64_t scores_stride = 0;
  int64_t T = 0;
  int64_t H = 0;
  int64_t D = 0;  // a multiple of 16; of 32 with FP4 keys
  int64_t topk = 0;

  // Two-level choice: at most one of best_blocks and in_blocks. topk_blocks * block_size is at least topk.
  int64_t block_size = 0;  // 1, 2, 4, 8 or 16
  int64_t topk_blocks = 0;
  int32_t* best_blocks = nullptr;        // [T, topk_blocks] out, ascending, or null
  int64_t* n_best_blocks = nullptr;      // [T] out
  const int32_t* in_blocks = nullptr;    // [T, topk_blocks] ascending, the newest entry's among them, or null
  const int64_t* n_in_blocks = nullptr;  // [T]

  // On a GPU, which does not show `visible` to the host: a bound of it, and where scores lie that nobody wants to see.
  int64_t visible_max = 0;
  std::byte* scratch = nullptr;  // index_select_gpu_scratch_bytes(...), aligned to 256
};

int64_t index_select_gpu_scratch_bytes(int64_t T, int64_t visible_max);
int64_t index_select_scratch_bytes(const Device::Shape& device, int64_t T, int64_t visible_max);

// Order: a dot of float keys in one chain over d ascending; of FP4 keys exactly (integers) for each 32 channels, those
// times their scales ascending. Heads by 16 partial sums (h mod 16) ascending, then the tree of ops/simd_avx512.h.
// Independent of T, threads and pages, and the same in AVX2 and AVX-512; a GPU has an order of its own
// (index_select_cuda.cu). There, D is at most 512 and a NaN score chooses nothing sensible, but distinct indices.
// A token with visible <= topk takes all entries, and unless `scores` is wanted no score is computed for it. A NaN
// score is a checked mistake of the caller's (activations are checked). Accuracy: within 1e-5 of the sum of |w[h] q[h]
// . k[j]| from the reference. Cost: per token visible * (row_bytes + 2 H D operations).
void index_select(Device& device, const IndexSelect& op);
// Of several sequences (ops/batch.h): what does not belong to a sequence (H, D, topk, the keys' format, whether scores
// are wanted) is the same in all. So is `scratch`, which has room for the tokens of all and the largest visible_max.
void index_select(Device& device, std::span<const IndexSelect> ops);

void index_select_reference(CpuDevice& cpu, const IndexSelect& op);
std::span<const Version<IndexSelect>> index_select_versions();

// The k best of scores[0, n) by the rule above, ascending, into chosen; O(n) on average.
void select_topk(const float* scores, int64_t n, int64_t k, int32_t* chosen);

}  // namespace hadal::ops
