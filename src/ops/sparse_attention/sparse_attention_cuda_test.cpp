// Sparse attention on a GPU: against the reference in V4-Flash's shape and others, one token against many bit for bit,
// side by side and walked.

#include <numeric>

#include "ops/sparse_attention/sparse_attention.h"
#include "ops/sparse_attention/sparse_attention_layout_cuda.h"
#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

struct Problem {
  int64_t T, H, D, rope_dim;
  KvFormat format;
  int64_t n_window_rows, n_entries, topk;
  std::vector<float> q, sink;
  std::vector<std::byte> window, entries;
  std::vector<int64_t> window_begin, window_n, n_chosen;
  std::vector<int32_t> chosen;

  Problem(int64_t T_, int64_t H_, int64_t D_, KvFormat format_, int64_t topk_)
      : T(T_),
        H(H_),
        D(D_),
        rope_dim(D_ / 8),
        format(format_),
        n_window_rows(127 + T_),
        n_entries(2000),
        topk(topk_),
        q(test::normal_floats(1, T_ * H_ * D_)),
        sink(test::normal_floats(2, H_)) {
    window = rows_of(3, n_window_rows);
    entries = rows_of(4, n_entries);
    std::mt19937 random(5);
    std::vector<int32_t> all(static_cast<size_t>(n_entries));
    for (int64_t t = 0; t < T; ++t) {
      // Token 0 sees nothing, token 1 one row; the others have lists of different lengths.
      const int64_t n = t == 0 ? 0 : t == 1 ? 1 : std::max<int64_t>(1, 128 - t % 3);
      window_begin.push_back(t);
      window_n.push_back(n);
      n_chosen.push_back(t < 2 ? 0 : topk - t % 70);
      std::iota(all.begin(), all.end(), 0);
      std::shuffle(all.begin(), all.end(), random);
      std::sort(all.begin(), all.begin() + topk);
      chosen.insert(chosen.end(), all.begin(), all.begin() + topk);
    }
  }

  int64_t row_bytes() const { return kv_row_bytes(format, D, rope_dim); }
  int64_t rows_max() const { return 128 + topk; }

 private:
  std::vector<std::byte> rows_of(uint64_t seed, int64_t n) const {
    const std::vector<float> x = test::normal_floats(seed, n * D);
    std::vector<std::byte> rows(static_cast<size_t>(n * row_bytes()));
    for (int64_t i = 0; i < n; ++i) encode_row(format, x.data() + i * D, D, rope_dim, rows.data() + i * row_bytes());
    return rows;
  }
};

class SparseAttentionCuda : public test::CudaTest {
 protected:
  static constexpr int64_t kRowsOfPage = 64;

  static SparseAttention op_of(const Problem& p, int64_t begin, int64_t end) {
    return {.T = end - begin,
            .H = p.H,
            .D = p.D,
            .value_dim = p.D,
            .rope_dim = p.rope_dim,
            .scale = 1 / std::sqrt(static_cast<float>(p.D)),
            .window_row_bytes = p.row_bytes(),
            .format = p.format,
            .entries = {.rows_per_page = kRowsOfPage, .row_bytes = p.row_bytes(), .format = p.format},
            .chosen_stride = p.topk,
            .rows_max = p.rows_max()};
  }

  static std::vector<const std::byte*> pages_of(const Problem& p, const std::byte* entries) {
    std::vector<const std::byte*> pages;
    for (int64_t row = 0; row < p.n_entries; row += kRowsOfPage) pages.push_back(entries + row * p.row_bytes());
    return pages;
  }

  std::vector<float> run_reference(const Problem& p) {
    const std::vector<const std::byte*> pages = pages_of(p, p.entries.data());
    std::vector<float> out(static_cast<size_t>(p.T * p.H * p.D));
    SparseAttention op = op_of(p, 0, p.T);
    op.q = p.q.data();
    op.out = out.data();
    op.sink = p.sink.data();
    op.window = p.window.data();
    op.window_begin = p.window_begin.data();
    op.window_n = p.window_n.data();
    op.entries.pages = pages.data();
    op.chosen = p.chosen.data();
    op.n_chosen = p.n_chosen.data();
    sparse_attention_reference(cpu(), op);
    return out;
  }

  std::vector<float> run(const Problem& p, int64_t begin, int64_t end) {
    const int64_t T = end - begin;
    const auto part = [&](const auto& values, int64_t width) {
      return memory().put(
          std::span(values).subspan(static_cast<size_t>(begin * width), static_cast<size_t>(T * width)));
    };
    SparseAttention op = op_of(p, begin, end);
    op.q = part(p.q, p.H * p.D);
    op.out = memory().room<float>(T * p.H * p.D);
    op.sink = memory().put(p.sink);
    op.window = memory().put(p.window);
    op.window_begin = part(p.window_begin, 1);
    op.window_n = part(p.window_n, 1);
    op.entries.pages = memory().put(pages_of(p, memory().put(p.entries)));
    op.chosen = part(p.chosen, p.topk);
    op.n_chosen = part(p.n_chosen, 1);
    op.scratch = memory().room<std::byte>(sparse_attention_gpu_scratch_bytes(T, p.H, p.D, p.rows_max()));
    sparse_attention(gpu(), op);
    return memory().get(op.out, T * p.H * p.D);
  }

  // The tokens as a list of ops that have so many each, and a bound of rows of their own.
  std::vector<float> run_list(const Problem& p, const std::vector<int64_t>& lengths) {
    SparseAttention whole = op_of(p, 0, p.T);
    whole.q = memory().put(p.q);
    whole.out = memory().room<float>(p.T * p.H * p.D);
    whole.sink = memory().put(p.sink);
    whole.window = memory().put(p.window);
    whole.window_begin = memory().put(p.window_begin);
    whole.window_n = memory().put(p.window_n);
    whole.entries.pages = memory().put(pages_of(p, memory().put(p.entries)));
    whole.chosen = memory().put(p.chosen);
    whole.n_chosen = memory().put(p.n_chosen);
    whole.scratch = memory().room<std::byte>(
        sparse_attention_gpu_scratch_bytes(std::min(p.T, kAttentionSplitTokensMax), p.H, p.D, p.rows_max()));
    std::vector<SparseAttention> ops;
    int64_t t = 0;
    for (const int64_t T : lengths) {
      SparseAttention op = whole;
      op.T = T;
      op.q += t * p.H * p.D;
      op.out += t * p.H * p.D;
      op.window_begin += t;
      op.window_n += t;
      op.chosen += t * p.topk;
      op.n_chosen += t;
      op.rows_max = 0;
      for (int64_t i = t; i < t + T; ++i) {
        const auto token = static_cast<size_t>(i);
        op.rows_max = std::max(op.rows_max, p.window_n[token] + p.n_chosen[token]);
      }
      ops.push_back(op);
      t += T;
    }
    sparse_attention(gpu(), ops);
    return memory().get(whole.out, p.T * p.H * p.D);
  }
};

TEST_F(SparseAttentionCuda, agrees_with_the_reference) {
  const Problem problems[] = {{4, 64, 512, KvFormat::kFp8, 512},
                              {4, 64, 512, KvFormat::kBf16, 300},
                              {3, 16, 512, KvFormat::kFp4, 100},
                              {4, 64, 512, KvFormat::kF32, 200},
                              {3, 6, 64, KvFormat::kFp8, 90}};
  for (const Problem& p : problems) {
    // The contract's 1e-5 of the largest |kv|, about 5.
    EXPECT_TRUE(test::within(run(p, 0, p.T), run_reference(p), {.rtol = 1e-5, .atol = 5e-5}))
        << kv_format_name(p.format) << " " << p.D;
  }
}

TEST_F(SparseAttentionCuda, a_token_gives_the_same_bits_alone_and_among_others) {
  for (const KvFormat format : {KvFormat::kFp8, KvFormat::kF32}) {
    const int64_t T = kAttentionSplitTokensMax + 8;
    const Problem p(T, 16, 512, format, 200);
    const std::vector<float> all = run(p, 0, T);  // walked
    for (const int64_t n : {int64_t{1}, int64_t{3}, kAttentionSplitTokensMax, kAttentionSplitTokensMax + 1}) {
      const std::vector<float> part = run(p, T - n, T);
      const std::span<const float> want(all.data() + (T - n) * p.H * p.D, part.size());
      ASSERT_TRUE(test::same_bits(part, want)) << n << " tokens, " << kv_format_name(format);
    }
  }
}

// Lists of every size that has a launch of its own; parts side by side (up to 32 tokens) and walked.
TEST_F(SparseAttentionCuda, a_list_gives_the_bits_of_one_op) {
  const std::vector<std::vector<int64_t>> lists = {
      {1, 1}, {3, 0, 4, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {30, 1, 20, 1, 1}, std::vector<int64_t>(70, 1)};
  for (const std::vector<int64_t>& lengths : lists) {
    const int64_t T = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
    for (const KvFormat format : {KvFormat::kFp8, KvFormat::kF32}) {
      const Problem p(T, 16, 512, format, 200);
      EXPECT_TRUE(test::same_bits(run_list(p, lengths), run(p, 0, T))) << T << ", " << kv_format_name(format);
    }
  }
}

}  // namespace
}  // namespace hadal::ops
