// Many tokens (prefill): a task takes a tile of tokens through all keys, so that a key is decoded once for the tile.
// Few tokens (decode): a task takes all tokens through a range of keys; the best of the ranges are then merged.
//
// Scores live for one block of keys only: what is kept of them is a stream's candidates (topk_stream.h), so memory does
// not grow with the context. Each thread keeps its buffers from call to call, below 1 MiB for 64 heads of 128 channels
// and a topk of 1,024.
#include "ops/index_select/index_select_schedule.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <vector>

#include "base/dtype.h"
#include "ops/index_select/topk_stream.h"

namespace hadal::ops {
namespace {

// Keys of a block: 240 x 128 channels are 120 KiB as floats, 30 KiB as codes. A multiple of every kernel's tile of
// keys.
constexpr int64_t kKeyBlock = 240;
// Tokens of a tile: decoding a key costs a fifth of scoring it for one token, a fortieth for eight.
constexpr int64_t kTileTokens = 8;
// Tasks a thread, so that a thread that is held up costs little.
constexpr int64_t kTasksPerThread = 4;
// A range of keys is worth a task of its own from here on: 10 microseconds a token.
constexpr int64_t kRangeKeysMin = 4 * kKeyBlock;
static_assert(kKeyBlock <= TopkStream::kPieceMax);

constexpr int64_t round_up(int64_t n, int64_t grain) {
  return (n + grain - 1) / grain * grain;
}

// One token's query in the order that kernels want.
class PreparedQuery {
 public:
  void prepare(const IndexSelect& op, int64_t t, CpuLevel level) {
    const int64_t H = round_up(op.H, kHeadGroup);
    const float* q = op.q + t * op.H * op.D;
    w_.assign(static_cast<size_t>(H), 0.0f);
    for (int64_t h = 0; h < op.H; ++h) w_[static_cast<size_t>(h)] = op.w[t * op.H + h] * op.w_scale;
    if (op.keys.format == KvFormat::kFp4) {
      prepare_fp4(q, op.H, H, op.D, encode_row_for(level));
    } else {
      values_.assign(static_cast<size_t>(op.D * H), 0.0f);
      for (int64_t h = 0; h < op.H; ++h) {
        for (int64_t d = 0; d < op.D; ++d) values_[static_cast<size_t>(d * H + h)] = q[h * op.D + d];
      }
    }
  }

  IndexQuery view() const {
    return {.w = w_.data(),
            .values = values_.data(),
            .codes = codes_.data(),
            .offsets = offsets_.data(),
            .scales = scales_.data()};
  }

 private:
  // Rounds as keys are rounded and takes the codes apart: a pair of nibbles to a pair of bytes, 4 channels of a head
  // together.
  void prepare_fp4(const float* q, int64_t n_heads, int64_t H, int64_t D, EncodeRow encode) {
    static constexpr auto kPairs = [] {
      constexpr int8_t kDoubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
      std::array<std::array<int8_t, 2>, 256> pairs{};
      for (size_t i = 0; i < 256; ++i) pairs[i] = {kDoubled[i & 15], kDoubled[i >> 4]};
      return pairs;
    }();
    codes_.assign(static_cast<size_t>(D * H), 0);
    offsets_.assign(static_cast<size_t>(D / kIndexBlock * H), 0);
    scales_.assign(static_cast<size_t>(D / kIndexBlock * H), 0.0f);
    row_.resize(static_cast<size_t>(kv_row_bytes(KvFormat::kFp4, D, 0)));
    for (int64_t h = 0; h < n_heads; ++h) {
      encode(KvFormat::kFp4, q + h * D, D, 0, row_.data());
      const auto* pairs = reinterpret_cast<const uint8_t*>(row_.data());
      for (int64_t b = 0; b < D / kIndexBlock; ++b) {
        int32_t sum = 0;
        for (int64_t d = b * kIndexBlock; d < (b + 1) * kIndexBlock; d += 4) {
          const std::array<int8_t, 2> low = kPairs[pairs[d / 2]];
          const std::array<int8_t, 2> high = kPairs[pairs[d / 2 + 1]];
          int8_t* four = codes_.data() + d * H + 4 * h;
          std::memcpy(four, low.data(), 2);
          std::memcpy(four + 2, high.data(), 2);
          sum += low[0] + low[1] + high[0] + high[1];
        }
        offsets_[static_cast<size_t>(b * H + h)] = -kKeyBias * sum;
        scales_[static_cast<size_t>(b * H + h)] = 0.5f * exp2i(pairs[D / 2 + b] - 127);
      }
    }
  }

  std::vector<float> w_;
  std::vector<float> values_;
  std::vector<int8_t> codes_;
  std::vector<int32_t> offsets_;
  std::vector<float> scales_;
  std::vector<std::byte> row_;
};

// A block of keys as kernels want them.
class PreparedKeys {
 public:
  void prepare(const IndexSelectKernels& kernels, const IndexSelect& op, int64_t begin, int64_t end) {
    add(kernels, op, begin, end, 0);
  }

  // Keys [begin, end) behind the first `at` of the block.
  void add(const IndexSelectKernels& kernels, const IndexSelect& op, int64_t begin, int64_t end, int64_t at) {
    if (op.keys.format == KvFormat::kFp4) {
      const int64_t n_blocks = op.D / kIndexBlock;
      codes_.resize(static_cast<size_t>(kKeyBlock * op.D));
      scales_.resize(static_cast<size_t>(kKeyBlock * n_blocks));
      for (int64_t j = begin; j < end; ++j) {
        const int64_t i = at + j - begin;
        kernels.expand_fp4(op.keys.row(j), op.D, codes_.data() + i * op.D, scales_.data() + i * n_blocks);
      }
    } else {
      values_.resize(static_cast<size_t>(kKeyBlock * op.D));
      const DecodeRow decode = decode_row_for(kernels.level);
      for (int64_t j = begin; j < end; ++j) {
        decode(op.keys.format, op.keys.row(j), op.D, 0, values_.data() + (at + j - begin) * op.D);
      }
    }
  }

  IndexKeys view() const { return {.values = values_.data(), .codes = codes_.data(), .scales = scales_.data()}; }

 private:
  std::vector<float> values_;
  std::vector<uint8_t> codes_;
  std::vector<float> scales_;
};

// What a thread needs for one task.
struct Worker {
  PreparedKeys keys;
  std::array<PreparedQuery, kTileTokens> queries;
  std::array<TopkStream, kTileTokens> streams;
  std::array<TopkStream, kTileTokens> block_streams;  // two-level choice

  void reset(const IndexSelect& op, int64_t n_tokens) {
    for (int64_t i = 0; i < n_tokens; ++i) {
      streams[static_cast<size_t>(i)].reset(op.topk);
      if (op.best_blocks != nullptr) block_streams[static_cast<size_t>(i)].reset(op.topk_blocks);
    }
  }
};

Worker& this_thread_worker() {
  thread_local Worker worker;
  return worker;
}

// Sees everything and nobody asks for scores: there is nothing to compute.
bool takes_all(const IndexSelect& op, int64_t t) {
  return op.visible[t] <= op.topk && op.scores == nullptr;
}

void take_all(const IndexSelect& op, int64_t t) {
  int32_t* chosen = op.chosen + t * op.topk;
  for (int64_t j = 0; j < op.visible[t]; ++j) chosen[j] = static_cast<int32_t>(j);
  op.n_chosen[t] = op.visible[t];
  if (op.best_blocks == nullptr) return;
  // No more than topk entries: all their blocks are among the best.
  op.n_best_blocks[t] = (op.visible[t] + op.block_size - 1) / op.block_size;
  int32_t* blocks = op.best_blocks + t * op.topk_blocks;
  for (int64_t b = 0; b < op.n_best_blocks[t]; ++b) blocks[b] = static_cast<int32_t>(b);
}

// The blocks of n scores from entry j on, the first of a block, to a stream of blocks.
void offer_blocks(const IndexSelect& op, int64_t t, const float* scores, int64_t n, int64_t j, TopkStream& blocks) {
  float best[kKeyBlock];
  const int64_t n_blocks = (n + op.block_size - 1) / op.block_size;
  for (int64_t b = 0; b < n_blocks; ++b) {
    const float* first = scores + b * op.block_size;
    best[b] = *std::max_element(first, first + std::min(op.block_size, n - b * op.block_size));
  }
  const int64_t first_block = j / op.block_size;
  const int64_t newest = (op.visible[t] - 1) / op.block_size - first_block;
  if (newest >= 0 && newest < n_blocks) best[newest] = std::numeric_limits<float>::infinity();
  blocks.offer(best, n_blocks, first_block);
}

// Tokens [t0, t0 + n_tokens) over the keys [begin, end), as far as each sees them: candidates to the streams.
void score_keys(const IndexSelectKernels& kernels, const IndexSelect& op, int64_t t0, int64_t n_tokens, int64_t begin,
                int64_t end, std::span<const PreparedQuery> queries, Worker& worker) {
  PreparedKeys& keys = worker.keys;
  const int64_t H = round_up(op.H, kHeadGroup);
  const auto score = op.keys.format == KvFormat::kFp4 ? kernels.score_fp4 : kernels.score_f32;
  int64_t visible_max = 0;
  for (int64_t t = t0; t < t0 + n_tokens; ++t) {
    if (!takes_all(op, t)) visible_max = std::max(visible_max, op.visible[t]);
  }
  end = std::min(end, visible_max);
  float scores[kKeyBlock];
  for (int64_t j = begin; j < end; j += kKeyBlock) {
    keys.prepare(kernels, op, j, std::min(j + kKeyBlock, end));
    for (int64_t i = 0; i < n_tokens; ++i) {
      const int64_t t = t0 + i;
      const int64_t n = std::min(std::min(j + kKeyBlock, end), op.visible[t]) - j;
      if (n <= 0 || takes_all(op, t)) continue;
      score(queries[static_cast<size_t>(i)].view(), keys.view(), n, H, op.D, scores);
      worker.streams[static_cast<size_t>(i)].offer(scores, n, j);
      if (op.best_blocks != nullptr) offer_blocks(op, t, scores, n, j, worker.block_streams[static_cast<size_t>(i)]);
      if (op.scores != nullptr) std::copy_n(scores, n, op.scores + t * op.scores_stride + j);
    }
  }
}

void prepare_queries(const IndexSelectKernels& kernels, const IndexSelect& op, int64_t t0, int64_t n_tokens,
                     std::span<PreparedQuery> queries) {
  for (int64_t i = 0; i < n_tokens; ++i) {
    if (!takes_all(op, t0 + i)) queries[static_cast<size_t>(i)].prepare(op, t0 + i, kernels.level);
  }
}

void finish(const IndexSelect& op, int64_t t, size_t i, Worker& worker) {
  if (takes_all(op, t)) return take_all(op, t);
  op.n_chosen[t] = worker.streams[i].write_ascending(op.chosen + t * op.topk);
  if (op.best_blocks == nullptr) return;
  op.n_best_blocks[t] = worker.block_streams[i].write_ascending(op.best_blocks + t * op.topk_blocks);
}

// One token over the entries of its in_blocks, as many whole blocks at a time as make a block of keys.
void score_pool(const IndexSelectKernels& kernels, const IndexSelect& op, int64_t t, Worker& worker) {
  const int64_t H = round_up(op.H, kHeadGroup);
  const auto score = op.keys.format == KvFormat::kFp4 ? kernels.score_fp4 : kernels.score_f32;
  const int32_t* blocks = op.in_blocks + t * op.topk_blocks;
  const int64_t piece = kKeyBlock / op.block_size;
  if (op.scores != nullptr) {
    std::fill_n(op.scores + t * op.scores_stride, op.visible[t], -std::numeric_limits<float>::infinity());
  }
  float scores[kKeyBlock];
  for (int64_t b0 = 0; b0 < op.n_in_blocks[t]; b0 += piece) {
    const int64_t b1 = std::min(b0 + piece, op.n_in_blocks[t]);
    const auto first_of = [&](int64_t b) { return blocks[b] * op.block_size; };
    const auto end_of = [&](int64_t b) { return std::min(first_of(b) + op.block_size, op.visible[t]); };
    for (int64_t b = b0; b < b1; ++b) {
      worker.keys.add(kernels, op, first_of(b), end_of(b), (b - b0) * op.block_size);
    }
    // Only the last block may be cut, and it is the newest.
    const int64_t n = (b1 - 1 - b0) * op.block_size + end_of(b1 - 1) - first_of(b1 - 1);
    score(worker.queries[0].view(), worker.keys.view(), n, H, op.D, scores);
    for (int64_t b = b0; b < b1; ++b) {
      const float* of_block = scores + (b - b0) * op.block_size;
      const int64_t n_block = end_of(b) - first_of(b);
      worker.streams[0].offer(of_block, n_block, first_of(b));
      if (op.scores != nullptr) std::copy_n(of_block, n_block, op.scores + t * op.scores_stride + first_of(b));
    }
  }
}

void pools_of_tokens(const IndexSelectKernels& kernels, CpuDevice& cpu, const IndexSelect& op) {
  cpu.pool().run(op.T, [&](int64_t t) {
    Worker& worker = this_thread_worker();
    worker.reset(op, 1);
    prepare_queries(kernels, op, t, 1, worker.queries);
    if (!takes_all(op, t)) score_pool(kernels, op, t, worker);
    finish(op, t, 0, worker);
  });
}

void tiles_of_tokens(const IndexSelectKernels& kernels, CpuDevice& cpu, const IndexSelect& op) {
  const int64_t n_tasks_wanted = kTasksPerThread * cpu.pool().size();
  const int64_t tile = std::clamp(op.T / n_tasks_wanted, int64_t{1}, kTileTokens);
  cpu.pool().for_slices(op.T, tile, [&](int64_t t0, int64_t t1) {
    Worker& worker = this_thread_worker();
    worker.reset(op, t1 - t0);
    prepare_queries(kernels, op, t0, t1 - t0, worker.queries);
    score_keys(kernels, op, t0, t1 - t0, 0, INT64_MAX, worker.queries, worker);
    for (int64_t t = t0; t < t1; ++t) finish(op, t, static_cast<size_t>(t - t0), worker);
  });
}

// The best of many streams, `width` of each at most.
class Found {
 public:
  void clear(int64_t n_streams, int64_t width) {
    width_ = width;
    packed_.resize(static_cast<size_t>(n_streams * width));
    n_.assign(static_cast<size_t>(n_streams), 0);
  }
  void put(int64_t i, TopkStream& stream) {
    const std::span<const uint64_t> best = stream.best();
    std::copy(best.begin(), best.end(), packed_.begin() + i * width_);
    n_[static_cast<size_t>(i)] = best.size();
  }
  std::span<const uint64_t> at(int64_t i) const { return {packed_.data() + i * width_, n_[static_cast<size_t>(i)]}; }

 private:
  int64_t width_ = 0;
  std::vector<uint64_t> packed_;
  std::vector<size_t> n_;
};

// Tokens [t0, t0 + n_tokens), at most a tile of them.
void ranges_of_keys(const IndexSelectKernels& kernels, CpuDevice& cpu, const IndexSelect& op, int64_t t0,
                    int64_t n_tokens) {
  int64_t visible_max = 0;
  for (int64_t t = t0; t < t0 + n_tokens; ++t) visible_max = std::max(visible_max, op.visible[t]);
  const int64_t n_ranges_wanted = kTasksPerThread * cpu.pool().size();
  const int64_t range =
      std::max(kRangeKeysMin, round_up((visible_max + n_ranges_wanted - 1) / n_ranges_wanted, kKeyBlock));
  const int64_t n_ranges = (visible_max + range - 1) / range;

  // The caller's buffers hold the queries and what each range has found: [range, token, topk].
  Worker& mine = this_thread_worker();
  prepare_queries(kernels, op, t0, n_tokens, mine.queries);
  thread_local Found entries;
  thread_local Found blocks;
  entries.clear(n_ranges * n_tokens, op.topk);
  blocks.clear(n_ranges * n_tokens, op.best_blocks == nullptr ? 0 : op.topk_blocks);
  Found* entries_found = &entries;
  Found* blocks_found = &blocks;
  const std::span<const PreparedQuery> queries = mine.queries;
  cpu.pool().run(n_ranges, [&](int64_t r) {
    Worker& worker = this_thread_worker();
    worker.reset(op, n_tokens);
    score_keys(kernels, op, t0, n_tokens, r * range, (r + 1) * range, queries, worker);
    for (int64_t i = 0; i < n_tokens; ++i) {
      entries_found->put(r * n_tokens + i, worker.streams[static_cast<size_t>(i)]);
      if (op.best_blocks != nullptr) blocks_found->put(r * n_tokens + i, worker.block_streams[static_cast<size_t>(i)]);
    }
  });
  mine.reset(op, n_tokens);
  for (int64_t i = 0; i < n_tokens; ++i) {
    const auto token = static_cast<size_t>(i);
    for (int64_t r = 0; r < n_ranges; ++r) {
      mine.streams[token].merge(entries.at(r * n_tokens + i));
      if (op.best_blocks != nullptr) mine.block_streams[token].merge(blocks.at(r * n_tokens + i));
    }
    finish(op, t0 + i, token, mine);
  }
}

}  // namespace

void index_select_with(const IndexSelectKernels& kernels, CpuDevice& cpu, const IndexSelect& op) {
  const int64_t n_threads = cpu.pool().size();
  if (op.in_blocks != nullptr) return pools_of_tokens(kernels, cpu, op);
  if (n_threads == 1 || op.T >= kTasksPerThread * n_threads) return tiles_of_tokens(kernels, cpu, op);
  for (int64_t t = 0; t < op.T; t += kTileTokens) {
    ranges_of_keys(kernels, cpu, op, t, std::min(kTileTokens, op.T - t));
  }
}

}  // namespace hadal::ops
