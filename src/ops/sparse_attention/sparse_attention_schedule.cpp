// How sparse attention is cut into tasks; the arithmetic is in the kernels of each instruction set.
//
// Many tokens (prefill): a task takes a token at a time. Its rows pass through a block of 64 decoded rows twice, once
// for the scores and once for the weighted sum: a row takes 0.04 microseconds to decode and 2 to multiply with 64
// heads, and a thread needs 135 KiB of its second-level cache instead of 17 MiB for 8,320 rows.
//
// Few tokens (decode): all threads work on one token. Its rows are decoded once, for all; then scores by rows, softmax
// by heads, weighted sums by heads and channels.
#include <algorithm>
#include <atomic>

#include "ops/sparse_attention/sparse_attention_kernels.h"

namespace hadal::ops {
namespace {

constexpr int64_t round_up(int64_t n, int64_t grain) {
  return (n + grain - 1) / grain * grain;
}

// Below this many tokens a thread, the last ones would leave threads idle.
constexpr int64_t kTokensPerThreadMin = 4;
// Cuts of one token's work for all threads: 640 rows give 40 tasks, 64 heads 16, 64 heads of 512 channels 32.
constexpr int64_t kRowsPerTask = 16;
constexpr int64_t kSoftmaxHeadsPerTask = 4;
constexpr int64_t kSumHeadsPerTask = 16;
constexpr int64_t kSumChannelsPerTask = 64;

// Offsets into scratch, in floats. Decode keeps one of these with all rows, prefill one a thread with one block.
struct ScratchLayout {
  int64_t kv_stride;
  int64_t scores_stride;
  int64_t scores;
  int64_t sums;
  int64_t floats;

  ScratchLayout(int64_t H, int64_t D, int64_t rows_max, int64_t decoded_rows)
      : kv_stride(D + 16),
        scores_stride(round_up(rows_max, kScoreGrain)),
        scores(decoded_rows * kv_stride),
        sums(scores + H * scores_stride),
        floats(round_up(sums + H, 16)) {}
};

ScratchLayout decode_layout(int64_t H, int64_t D, int64_t rows_max) {
  return {H, D, rows_max, round_up(rows_max, kScoreGrain)};
}
ScratchLayout prefill_layout(int64_t H, int64_t D, int64_t rows_max) {
  return {H, D, rows_max, kAttentionBlock};
}

// One token with its list of rows and its scratch.
struct Token {
  const SparseAttentionKernels& kernels;
  const SparseAttention& op;
  ScratchLayout layout;
  DecodeRow decode;
  float* kv;
  float* scores;
  float* sums;
  int64_t t = 0;
  int64_t n_window = 0;
  int64_t n = 0;  // rows

  Token(const SparseAttentionKernels& with, const SparseAttention& of, const ScratchLayout& scratch_layout,
        float* scratch)
      : kernels(with),
        op(of),
        layout(scratch_layout),
        decode(decode_row_for(with.level)),
        kv(scratch),
        scores(scratch + layout.scores),
        sums(scratch + layout.sums) {}

  void begin(int64_t token) {
    t = token;
    n_window = op.window_rows_of(t);
    n = n_window + op.entries_of(t);
    HADAL_CHECK(n <= op.rows_max, "sparse_attention: rows of a token, rows_max", n, op.rows_max);
    if (n == 0) std::fill_n(out(), op.H * op.value_dim, 0.0f);
  }

  const float* q() const { return op.q + t * op.H * op.D; }
  float* out() const { return op.out + t * op.H * op.value_dim; }

  const std::byte* row(int64_t e) const {
    if (e < n_window) return op.window + (op.window_begin[t] + e) * op.window_row_bytes;
    const int64_t i = e - n_window;
    return op.entries.row(op.chosen != nullptr ? op.chosen[t * op.chosen_stride + i] : i);
  }

  // Rows [begin, end) to kv + at * kv_stride.
  DecodedRows decode_rows(int64_t begin, int64_t end, int64_t at) const {
    float* to = kv + at * layout.kv_stride;
    for (int64_t e = begin; e < end; ++e) {
      decode(op.format, row(e), op.D, op.rope_dim, to + (e - begin) * layout.kv_stride);
    }
    return {.data = to, .stride = layout.kv_stride, .n = end - begin};
  }

  void score(const DecodedRows& rows, int64_t begin) const {
    kernels.score(q(), op.H, op.D, rows, op.scale, scores + begin, layout.scores_stride);
  }

  void softmax(int64_t h) const {
    // Without rows and sink there is nothing to divide zeros by.
    sums[h] = n == 0 ? 1.0f : kernels.softmax(scores + h * layout.scores_stride, n, op.sink_of(h));
  }

  // The weighted sum of one block of rows, for heads and channels from h0 and c0 on.
  void accumulate(const DecodedRows& rows, int64_t begin, int64_t h0, int64_t n_heads, int64_t c0,
                  int64_t n_channels) const {
    const DecodedRows part = {.data = rows.data + c0, .stride = rows.stride, .n = rows.n};
    kernels.accumulate(scores + h0 * layout.scores_stride + begin, layout.scores_stride, n_heads, part, n_channels,
                       begin == 0, out() + h0 * op.value_dim + c0, op.value_dim);
  }

  void divide(int64_t h, int64_t c0, int64_t n_channels) const {
    kernels.divide(out() + h * op.value_dim + c0, n_channels, sums[h]);
  }
};

void one_thread_per_token(const SparseAttentionKernels& kernels, CpuDevice& cpu, const SparseAttention& op) {
  const ScratchLayout layout = prefill_layout(op.H, op.D, op.rows_max);
  std::atomic<int64_t> next{0};
  cpu.pool().run(cpu.pool().size(), [&](int64_t slot) {
    Token token(kernels, op, layout, reinterpret_cast<float*>(op.scratch) + slot * layout.floats);
    for (int64_t t = next.fetch_add(1); t < op.T; t = next.fetch_add(1)) {
      token.begin(t);
      DecodedRows rows;
      for (int64_t begin = 0; begin < token.n; begin += kAttentionBlock) {
        rows = token.decode_rows(begin, std::min(begin + kAttentionBlock, token.n), 0);
        token.score(rows, begin);
      }
      for (int64_t h = 0; h < op.H; ++h) token.softmax(h);
      for (int64_t begin = 0; begin < token.n; begin += kAttentionBlock) {
        if (token.n > kAttentionBlock) rows = token.decode_rows(begin, std::min(begin + kAttentionBlock, token.n), 0);
        token.accumulate(rows, begin, 0, op.H, 0, op.value_dim);
      }
      for (int64_t h = 0; h < op.H; ++h) token.divide(h, 0, op.value_dim);
    }
  });
}

void all_threads_per_token(const SparseAttentionKernels& kernels, CpuDevice& cpu, const SparseAttention& op) {
  Token token(kernels, op, decode_layout(op.H, op.D, op.rows_max), reinterpret_cast<float*>(op.scratch));
  const int64_t n_channel_tasks = (op.value_dim + kSumChannelsPerTask - 1) / kSumChannelsPerTask;
  const int64_t n_head_tasks = (op.H + kSumHeadsPerTask - 1) / kSumHeadsPerTask;
  for (int64_t t = 0; t < op.T; ++t) {
    token.begin(t);
    cpu.pool().for_slices(token.n, kRowsPerTask, [&](int64_t begin, int64_t end) {
      token.score(token.decode_rows(begin, end, begin), begin);
    });
    cpu.pool().for_slices(op.H, kSoftmaxHeadsPerTask, [&](int64_t begin, int64_t end) {
      for (int64_t h = begin; h < end; ++h) token.softmax(h);
    });
    cpu.pool().run(n_head_tasks * n_channel_tasks, [&](int64_t task) {
      const int64_t h0 = task / n_channel_tasks * kSumHeadsPerTask;
      const int64_t c0 = task % n_channel_tasks * kSumChannelsPerTask;
      const int64_t n_heads = std::min(kSumHeadsPerTask, op.H - h0);
      const int64_t n_channels = std::min(kSumChannelsPerTask, op.value_dim - c0);
      for (int64_t begin = 0; begin < token.n; begin += kAttentionBlock) {
        const DecodedRows rows = {.data = token.kv + begin * token.layout.kv_stride,
                                  .stride = token.layout.kv_stride,
                                  .n = std::min(kAttentionBlock, token.n - begin)};
        token.accumulate(rows, begin, h0, n_heads, c0, n_channels);
      }
      for (int64_t h = h0; h < h0 + n_heads; ++h) token.divide(h, c0, n_channels);
    });
  }
}

}  // namespace

int64_t sparse_attention_scratch_bytes(int64_t n_threads, int64_t H, int64_t D, int64_t rows_max) {
  const int64_t prefill = n_threads * prefill_layout(H, D, rows_max).floats;
  return 4 * std::max(prefill, decode_layout(H, D, rows_max).floats);
}

void sparse_attention_with(const SparseAttentionKernels& kernels, CpuDevice& cpu, const SparseAttention& op) {
  const int64_t n_threads = cpu.pool().size();
  if (n_threads == 1 || op.T >= kTokensPerThreadMin * n_threads) {
    one_thread_per_token(kernels, cpu, op);
  } else {
    all_threads_per_token(kernels, cpu, op);
  }
}

}  // namespace hadal::ops
