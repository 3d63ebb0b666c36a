// The indexer on a GPU: scores against the CPU, the selection exactly, one token against many bit for bit.

#include "ops/index_select/index_select.h"

#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class IndexSelectCuda : public test::CudaTest {
 protected:
  static constexpr int64_t kRowsOfPage = 64;

  struct Outputs {
    std::vector<float> scores;
    std::vector<int32_t> chosen;
    std::vector<int64_t> n_chosen;
  };

  // n keys in `format`; token t sees visible[t] of them.
  struct Problem {
    int64_t H, D, n, topk;
    KvFormat format;
    std::vector<int64_t> visible;
    std::vector<float> q, w;
    std::vector<std::byte> keys;

    Problem(int64_t H_, int64_t D_, KvFormat format_, int64_t topk_, const std::vector<int64_t>& visible_)
        : H(H_),
          D(D_),
          n(*std::max_element(visible_.begin(), visible_.end())),
          topk(topk_),
          format(format_),
          visible(visible_),
          q(test::normal_floats(1, T() * H_ * D_)),
          w(test::normal_floats(2, T() * H_)) {
      // A few different rows over and over: equal scores are common.
      const int64_t n_distinct = std::min<int64_t>(n, 5000);
      const std::vector<float> x = test::normal_floats(3, n_distinct * D);
      keys.resize(static_cast<size_t>(n * row_bytes()));
      for (int64_t i = 0; i < n; ++i) {
        encode_row(format, x.data() + i % n_distinct * D, D, 0, keys.data() + i * row_bytes());
      }
    }
    int64_t T() const { return static_cast<int64_t>(visible.size()); }
    int64_t row_bytes() const { return kv_row_bytes(format, D, 0); }
  };

  Outputs run(const Problem& p, int64_t begin, int64_t end, bool wants_scores) {
    const int64_t T = end - begin;
    const auto part = [&](const auto& values, int64_t width) {
      return memory().put(
          std::span(values).subspan(static_cast<size_t>(begin * width), static_cast<size_t>(T * width)));
    };
    const std::byte* keys = memory().put(p.keys);
    std::vector<const std::byte*> pages;
    for (int64_t row = 0; row < p.n; row += kRowsOfPage) pages.push_back(keys + row * p.row_bytes());
    const IndexSelect op = {.q = part(p.q, p.H * p.D),
                            .w = part(p.w, p.H),
                            .keys = {.pages = memory().put(pages),
                                     .rows_per_page = kRowsOfPage,
                                     .row_bytes = p.row_bytes(),
                                     .format = p.format},
                            .visible = part(p.visible, 1),
                            .chosen = memory().room<int32_t>(T * p.topk),
                            .n_chosen = memory().room<int64_t>(T),
                            .scores = wants_scores ? memory().room<float>(T * p.n) : nullptr,
                            .scores_stride = p.n,
                            .T = T,
                            .H = p.H,
                            .D = p.D,
                            .topk = p.topk,
                            .visible_max = p.n,
                            .scratch = memory().room<std::byte>(index_select_gpu_scratch_bytes(T, p.n))};
    index_select(gpu(), op);
    Outputs out = {
        .scores = {}, .chosen = memory().get(op.chosen, T * p.topk), .n_chosen = memory().get(op.n_chosen, T)};
    if (wants_scores) out.scores = memory().get(op.scores, T * p.n);
    return out;
  }

  // A token an op, each with a bound of its own.
  Outputs run_list(const Problem& p) {
    const std::byte* keys = memory().put(p.keys);
    std::vector<const std::byte*> pages;
    for (int64_t row = 0; row < p.n; row += kRowsOfPage) pages.push_back(keys + row * p.row_bytes());
    const IndexSelect whole = {.q = memory().put(p.q),
                               .w = memory().put(p.w),
                               .keys = {.pages = memory().put(pages),
                                        .rows_per_page = kRowsOfPage,
                                        .row_bytes = p.row_bytes(),
                                        .format = p.format},
                               .visible = memory().put(p.visible),
                               .chosen = memory().room<int32_t>(p.T() * p.topk),
                               .n_chosen = memory().room<int64_t>(p.T()),
                               .T = 1,
                               .H = p.H,
                               .D = p.D,
                               .topk = p.topk,
                               .scratch = memory().room<std::byte>(index_select_gpu_scratch_bytes(p.T(), p.n))};
    std::vector<IndexSelect> ops;
    for (int64_t t = 0; t < p.T(); ++t) {
      IndexSelect op = whole;
      op.q += t * p.H * p.D;
      op.w += t * p.H;
      op.visible += t;
      op.chosen += t * p.topk;
      op.n_chosen += t;
      op.visible_max = p.visible[static_cast<size_t>(t)];
      ops.push_back(op);
    }
    index_select(gpu(), ops);
    return {.scores = {},
            .chosen = memory().get(whole.chosen, p.T() * p.topk),
            .n_chosen = memory().get(whole.n_chosen, p.T())};
  }

  std::vector<float> scores_on_cpu(const Problem& p, int64_t t) {
    std::vector<const std::byte*> pages;
    for (int64_t row = 0; row < p.n; row += kRowsOfPage) pages.push_back(p.keys.data() + row * p.row_bytes());
    std::vector<float> scores(static_cast<size_t>(p.visible[static_cast<size_t>(t)]));
    std::vector<int32_t> chosen(static_cast<size_t>(p.topk));
    int64_t n_chosen = 0;
    index_select(
        cpu(),
        {.q = p.q.data() + t * p.H * p.D,
         .w = p.w.data() + t * p.H,
         .keys = {.pages = pages.data(), .rows_per_page = kRowsOfPage, .row_bytes = p.row_bytes(), .format = p.format},
         .visible = &p.visible[static_cast<size_t>(t)],
         .chosen = chosen.data(),
         .n_chosen = &n_chosen,
         .scores = scores.data(),
         .scores_stride = p.n,
         .T = 1,
         .H = p.H,
         .D = p.D,
         .topk = p.topk});
    return scores;
  }
};

TEST_F(IndexSelectCuda, scores_agree_with_the_cpu_and_the_selection_is_exact) {
  // 262,144 entries are a million positions.
  const Problem problems[] = {{64, 128, KvFormat::kFp4, 512, {262144, 3, 512, 513, 20000, 0}},
                              {32, 128, KvFormat::kFp4, 100, {7000, 99}},
                              {8, 64, KvFormat::kFp4, 16, {300, 17}},
                              {64, 128, KvFormat::kBf16, 512, {9000, 600}},
                              {4, 32, KvFormat::kF32, 8, {1000, 5, 9}}};
  for (const Problem& p : problems) {
    const Outputs got = run(p, 0, p.T(), true);
    for (int64_t t = 0; t < p.T(); ++t) {
      const int64_t visible = p.visible[static_cast<size_t>(t)];
      const std::span<const float> scores(got.scores.data() + t * p.n, static_cast<size_t>(visible));
      // The contract: 1e-5 of the sum of |w q k|, which is about H times sqrt(D).
      const double atol = 1e-5 * static_cast<double>(p.H) * std::sqrt(static_cast<double>(p.D));
      EXPECT_TRUE(test::within(scores, scores_on_cpu(p, t), {.rtol = 1e-5, .atol = atol})) << p.H << ", token " << t;
      const int64_t n = std::min(visible, p.topk);
      ASSERT_EQ(got.n_chosen[static_cast<size_t>(t)], n);
      std::vector<int32_t> want(static_cast<size_t>(n));
      select_topk(scores.data(), visible, p.topk, want.data());
      EXPECT_TRUE(
          test::same_bits(std::span<const int32_t>(got.chosen).subspan(static_cast<size_t>(t * p.topk), want.size()),
                          std::span<const int32_t>(want)))
          << p.H << ", token " << t;
    }
  }
}

TEST_F(IndexSelectCuda, a_token_gives_the_same_bits_alone_and_among_others) {
  const Problem p(64, 128, KvFormat::kFp4, 64, {5000, 4000, 3999, 65, 64, 4001, 1});
  const Outputs all = run(p, 0, p.T(), true);
  for (int64_t t = 0; t < p.T(); ++t) {
    const Outputs alone = run(p, t, t + 1, true);
    const auto visible = static_cast<size_t>(p.visible[static_cast<size_t>(t)]);
    EXPECT_TRUE(test::same_bits(std::span<const float>(alone.scores).first(visible),
                                std::span<const float>(all.scores).subspan(static_cast<size_t>(t * p.n), visible)));
    const Outputs unseen = run(p, t, t + 1, false);
    const auto n = static_cast<size_t>(unseen.n_chosen[0]);
    EXPECT_TRUE(test::same_bits(std::span<const int32_t>(unseen.chosen).first(n),
                                std::span<const int32_t>(all.chosen).subspan(static_cast<size_t>(t * p.topk), n)));
  }
}

TEST_F(IndexSelectCuda, a_list_chooses_what_one_op_chooses) {
  for (const size_t n_ops : {2, 7, 9, 70}) {
    std::vector<int64_t> visible;
    for (size_t i = 0; i < n_ops; ++i) visible.push_back(static_cast<int64_t>(i * 977 % 5000));
    visible.back() = 5000;
    for (const KvFormat format : {KvFormat::kFp4, KvFormat::kF32}) {
      const Problem p(64, 128, format, 64, visible);
      const Outputs want = run(p, 0, p.T(), false);
      const Outputs got = run_list(p);
      ASSERT_EQ(got.n_chosen, want.n_chosen);
      for (int64_t t = 0; t < p.T(); ++t) {
        const auto n = static_cast<size_t>(want.n_chosen[static_cast<size_t>(t)]);
        const auto at = static_cast<size_t>(t * p.topk);
        EXPECT_TRUE(test::same_bits(std::span<const int32_t>(got.chosen).subspan(at, n),
                                    std::span<const int32_t>(want.chosen).subspan(at, n)))
            << t << " of " << n_ops << ", " << kv_format_name(format);
      }
    }
  }
}

}  // namespace
}  // namespace hadal::ops
