// The reference against golden vectors, every version against the reference, the rule for ties, and promise
// "repeatable".
#include "ops/index_select/index_select.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <string>

#include "base/dtype.h"
#include "ops/index_select/topk_stream.h"
#include "testing/compare.h"
#include "testing/golden.h"

namespace hadal::ops {
namespace {

using test::GoldenFile;
using test::same_bits;
using test::within;

std::vector<Version<IndexSelect>> supported_versions() {
  std::vector<Version<IndexSelect>> versions;
  for (const auto& version : index_select_versions()) {
    if (version.level <= detected_cpu_level()) versions.push_back(version);
  }
  return versions;
}

// Keys in pages that lie in no order.
class Pages {
 public:
  Pages(std::span<const float> rows, KvFormat format, int64_t D, int64_t rows_per_page) {
    const int64_t n = static_cast<int64_t>(rows.size()) / D;
    const int64_t n_pages = (n + rows_per_page - 1) / rows_per_page;
    const int64_t row_bytes = kv_row_bytes(format, D, 0);
    constexpr int64_t kOffset = 40;  // keys begin somewhere inside a page
    const int64_t page_bytes = kOffset + rows_per_page * row_bytes;
    memory_.resize(static_cast<size_t>(n_pages * page_bytes));
    for (int64_t i = 0; i < n_pages; ++i) pages_.push_back(memory_.data() + (n_pages - 1 - i) * page_bytes);
    paged_ = {.pages = pages_.data(),
              .rows_per_page = rows_per_page,
              .offset = kOffset,
              .row_bytes = row_bytes,
              .format = format};
    const EncodeRow encode = encode_row_for(detected_cpu_level());
    for (int64_t j = 0; j < n; ++j) encode(format, rows.data() + j * D, D, 0, const_cast<std::byte*>(paged_.row(j)));
  }
  const PagedRows& paged() const { return paged_; }

 private:
  std::vector<std::byte> memory_;
  std::vector<const std::byte*> pages_;
  PagedRows paged_;
};

struct Sizes {
  int64_t T = 1;
  int64_t H = 8;
  int64_t D = 32;
  int64_t n_keys = 100;
  int64_t topk = 8;
  KvFormat format = KvFormat::kF32;
};

struct Selection {
  std::vector<int32_t> chosen;  // [T, topk], -1 where nothing was written
  std::vector<int64_t> n_chosen;
  std::vector<float> scores;  // [T, n_keys], 0 behind what is visible

  friend bool operator==(const Selection& a, const Selection& b) {
    return a.chosen == b.chosen && a.n_chosen == b.n_chosen && same_bits(a.scores, b.scores);
  }
};

struct Problem {
  // Random numbers, or (for exact arithmetic and many ties) small integers.
  Problem(const Sizes& of, std::mt19937& random, bool integers = false) : sizes(of) {
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& x, int64_t n) {
      x.resize(static_cast<size_t>(n));
      for (float& v : x) v = integers ? static_cast<float>(static_cast<int>(random() % 5) - 2) : normal(random);
    };
    fill(q, sizes.T * sizes.H * sizes.D);
    fill(w, sizes.T * sizes.H);
    fill(keys, sizes.n_keys * sizes.D);
    for (int64_t t = 0; t < sizes.T; ++t) {
      visible.push_back(sizes.n_keys -
                        static_cast<int64_t>(random() % static_cast<uint32_t>(sizes.n_keys + 1)) * (t % 2));
    }
  }

  Pages pages(int64_t rows_per_page = 32) const { return Pages(keys, sizes.format, sizes.D, rows_per_page); }

  // What tokens [begin, end) choose.
  Selection run(CpuDevice& cpu, const Version<IndexSelect>& version, const Pages& pages, bool wants_scores = true,
                int64_t begin = 0, int64_t end = -1) const {
    if (end < 0) end = sizes.T;
    const auto T = static_cast<size_t>(end - begin);
    Selection selection;
    selection.chosen.assign(T * static_cast<size_t>(sizes.topk), -1);
    selection.n_chosen.assign(T, -1);
    selection.scores.assign(T * static_cast<size_t>(sizes.n_keys), 0.0f);
    version.run(cpu, {.q = q.data() + begin * sizes.H * sizes.D,
                      .w = w.data() + begin * sizes.H,
                      .keys = pages.paged(),
                      .visible = visible.data() + begin,
                      .chosen = selection.chosen.data(),
                      .n_chosen = selection.n_chosen.data(),
                      .scores = wants_scores ? selection.scores.data() : nullptr,
                      .scores_stride = sizes.n_keys,
                      .T = end - begin,
                      .H = sizes.H,
                      .D = sizes.D,
                      .topk = sizes.topk});
    return selection;
  }

  // Sums of magnitudes are below this: a float sum may be off by 1e-5 of it.
  double magnitude() const { return static_cast<double>(sizes.H) * std::sqrt(static_cast<double>(sizes.D)); }

  Sizes sizes;
  std::vector<float> q, w, keys;
  std::vector<int64_t> visible;
};

// A selection follows from its own scores by the rule, slot by slot.
void expect_best_of_scores(const Problem& problem, const Selection& selection, std::string_view what) {
  const int64_t topk = problem.sizes.topk;
  for (int64_t t = 0; t < problem.sizes.T; ++t) {
    std::vector<int32_t> want(static_cast<size_t>(topk), -1);
    const int64_t visible = problem.visible[static_cast<size_t>(t)];
    select_topk(selection.scores.data() + t * problem.sizes.n_keys, visible, topk, want.data());
    const auto* chosen = selection.chosen.data() + t * topk;
    ASSERT_EQ(std::vector<int32_t>(chosen, chosen + topk), want) << what << " token " << t << " visible " << visible;
    ASSERT_EQ(selection.n_chosen[static_cast<size_t>(t)], std::min(topk, visible));
  }
}

TEST(IndexSelect, every_version_agrees_with_the_goldens) {
  const GoldenFile golden("layers/indexer.safetensors");
  for (const std::string c : {"c0.", "c1.", "c2.", "c3."}) {
    const int64_t T = golden.shape(c + "q")[0];
    const int64_t H = golden.shape(c + "q")[1];
    const int64_t D = golden.shape(c + "q")[2];
    const int64_t n_keys = golden.shape(c + "k")[0];
    const int64_t topk = golden.shape(c + "selected")[1];
    const std::vector<int64_t> visible(golden.i32(c + "visible").begin(), golden.i32(c + "visible").end());
    // The goldens' weights are those of the model, not yet scaled.
    std::vector<float> w(golden.f32(c + "w").begin(), golden.f32(c + "w").end());
    for (float& v : w) v *= static_cast<float>(1.0 / std::sqrt(static_cast<double>(H * D)));
    // Float keys; the same after the transform, which changes no dot; FP4 keys with queries not yet rounded.
    struct Form {
      std::string suffix;
      std::string scores;
      KvFormat format;
    };
    for (const Form& form :
         {Form{"", "scores", KvFormat::kF32}, Form{"_hadamard", "scores", KvFormat::kF32},
          Form{"_hadamard", "scores_fp4", KvFormat::kFp4}, Form{"_fp4", "scores_fp4", KvFormat::kF32}}) {
      const Pages pages(golden.f32(c + "k" + form.suffix), form.format, D, 16);
      for (const auto& version : supported_versions()) {
        SCOPED_TRACE(c + form.suffix + " " + std::string(cpu_level_name(version.level)));
        CpuDevice cpu({.n_threads = 2});
        std::vector<int32_t> chosen(static_cast<size_t>(T * topk), -1);
        std::vector<int64_t> n_chosen(static_cast<size_t>(T));
        std::vector<float> scores(static_cast<size_t>(T * n_keys));
        version.run(cpu, {.q = golden.f32(c + "q" + form.suffix).data(),
                          .w = w.data(),
                          .keys = pages.paged(),
                          .visible = visible.data(),
                          .chosen = chosen.data(),
                          .n_chosen = n_chosen.data(),
                          .scores = scores.data(),
                          .scores_stride = n_keys,
                          .T = T,
                          .H = H,
                          .D = D,
                          .topk = topk});
        for (int64_t t = 0; t < T; ++t) {
          const auto at = static_cast<size_t>(t * n_keys);
          const auto n = static_cast<size_t>(visible[static_cast<size_t>(t)]);
          // Sums of up to 64 x 128 products of size 0.01 in float, against float64.
          EXPECT_TRUE(within(std::span<const float>(scores).subspan(at, n), golden.f32(c + form.scores).subspan(at, n),
                             {.rtol = 1e-5, .atol = 1e-5}));
          if (form.scores != "scores") continue;
          std::vector<uint8_t> is_chosen(static_cast<size_t>(n_keys), 0);
          for (int64_t i = 0; i < n_chosen[static_cast<size_t>(t)]; ++i) {
            is_chosen[static_cast<size_t>(chosen[static_cast<size_t>(t * topk + i)])] = 1;
          }
          for (size_t j = 0; j < static_cast<size_t>(n_keys); ++j) {
            EXPECT_GE(is_chosen[j], golden.u8(c + "must")[at + j]) << "token " << t << " entry " << j;
            EXPECT_LE(is_chosen[j], golden.u8(c + "may")[at + j]) << "token " << t << " entry " << j;
          }
        }
        // Planted ties are exact only before the transform.
        if (form.suffix.empty()) {
          EXPECT_TRUE(same_bits(chosen, golden.i32(c + "selected")));
        }
      }
    }
  }
}

TEST(IndexSelect, every_version_agrees_with_the_reference_on_random_shapes) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 80; ++round) {
    const Sizes sizes = {
        .T = 1 + static_cast<int64_t>(random() % 20),
        .H = std::array{1, 8, 16, 20, 64, 100}[random() % 6],
        .D = std::array{32, 64, 128}[random() % 3],
        .n_keys = 1 + static_cast<int64_t>(random() % 500),
        .topk = 1 + static_cast<int64_t>(random() % 70),
        .format = std::array{KvFormat::kF32, KvFormat::kBf16, KvFormat::kFp4, KvFormat::kFp8By128}[random() % 4]};
    const Problem problem(sizes, random);
    const Pages pages = problem.pages();
    CpuDevice cpu({.n_threads = 1 + static_cast<int>(random() % 3)});
    const Selection want = problem.run(cpu, index_select_versions().front(), pages);
    for (const auto& version : supported_versions()) {
      const Selection got = problem.run(cpu, version, pages);
      const std::string what = std::string(cpu_level_name(version.level)) + " round " + std::to_string(round);
      ASSERT_TRUE(within(got.scores, want.scores, {.rtol = 0, .atol = 1e-5 * problem.magnitude()}))
          << what << " H " << sizes.H << " D " << sizes.D << " " << kv_format_name(sizes.format);
      expect_best_of_scores(problem, got, what);
      const Selection without_scores = problem.run(cpu, version, pages, false);
      ASSERT_EQ(without_scores.chosen, got.chosen) << what;
      ASSERT_EQ(without_scores.n_chosen, got.n_chosen) << what;
    }
  }
}

TEST(IndexSelect, exact_scores_with_many_ties_are_chosen_alike_by_every_version) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 40; ++round) {
    // Small integers: every sum is exact in any order, scores repeat, and many are 0 of either sign.
    const Problem problem({.T = 1 + static_cast<int64_t>(random() % 12),
                           .H = 1 + static_cast<int64_t>(random() % 3),
                           .D = 32,
                           .n_keys = 1 + static_cast<int64_t>(random() % 3000),
                           .topk = 1 + static_cast<int64_t>(random() % 300),
                           .format = std::array{KvFormat::kF32, KvFormat::kFp4}[random() % 2]},
                          random, true);
    const Pages pages = problem.pages();
    CpuDevice cpu({.n_threads = 1 + static_cast<int>(random() % 3)});
    const Selection want = problem.run(cpu, index_select_versions().front(), pages);
    for (const auto& version : supported_versions()) {
      const Selection got = problem.run(cpu, version, pages);
      ASSERT_TRUE(test::within_ulp(got.scores, want.scores, 0)) << cpu_level_name(version.level);
      ASSERT_EQ(got.chosen, want.chosen) << cpu_level_name(version.level) << " round " << round;
    }
  }
}

TEST(IndexSelect, a_million_tokens_of_context_in_the_released_geometry) {
  std::mt19937 random(9);
  for (const KvFormat format : {KvFormat::kFp4, KvFormat::kF32}) {
    // Position 1,048,575 sees 262,144 entries (float keys: a sixteenth of them, for memory).
    const int64_t n_keys = format == KvFormat::kFp4 ? 262144 : 16384;
    Problem problem({.T = 1, .H = 64, .D = 128, .n_keys = n_keys, .topk = 512, .format = format}, random);
    const Pages pages = problem.pages();
    for (const auto& version : supported_versions()) {
      if (version.level == CpuLevel::kPortable) continue;
      CpuDevice cpu({.n_threads = 2});
      const Selection got = problem.run(cpu, version, pages);
      expect_best_of_scores(problem, got, cpu_level_name(version.level));
      EXPECT_EQ(problem.run(cpu, version, pages, false).chosen, got.chosen);
      // The reference on the first 2,000 keys.
      Problem front = problem;
      front.sizes.n_keys = 2000;
      front.visible = {2000};
      const Selection want = front.run(cpu, index_select_versions().front(), pages);
      EXPECT_TRUE(within(std::span<const float>(got.scores).first(2000), want.scores,
                         {.rtol = 0, .atol = 1e-5 * problem.magnitude()}));
    }
  }
}

TEST(IndexSelect, v3_2_chooses_2048_positions_of_the_released_geometry) {
  std::mt19937 random(11);
  // The first token sees all 6,000 positions, the second fewer.
  const Problem problem({.T = 2, .H = 64, .D = 128, .n_keys = 6000, .topk = 2048, .format = KvFormat::kBf16}, random);
  const Pages pages = problem.pages();
  CpuDevice cpu({.n_threads = 2});
  const Selection want = problem.run(cpu, index_select_versions().front(), pages);
  for (const auto& version : supported_versions()) {
    const Selection got = problem.run(cpu, version, pages);
    EXPECT_TRUE(within(got.scores, want.scores, {.rtol = 0, .atol = 1e-5 * problem.magnitude()}));
    expect_best_of_scores(problem, got, cpu_level_name(version.level));
  }
}

TEST(IndexSelect, a_token_gives_the_same_bits_alone_and_in_a_batch) {
  std::mt19937 random(3);
  for (const KvFormat format : {KvFormat::kFp4, KvFormat::kBf16}) {
    const Problem problem({.T = 19, .H = 20, .D = 64, .n_keys = 3000, .topk = 64, .format = format}, random);
    const Pages pages = problem.pages();
    for (const auto& version : supported_versions()) {
      CpuDevice cpu({.n_threads = 3});
      const Selection whole = problem.run(cpu, version, pages);
      for (int64_t t = 0; t < problem.sizes.T; ++t) {
        const Selection alone = problem.run(cpu, version, pages, true, t, t + 1);
        EXPECT_TRUE(same_bits(alone.scores, std::span(whole.scores).subspan(static_cast<size_t>(t) * 3000, 3000)));
        EXPECT_TRUE(same_bits(alone.chosen, std::span(whole.chosen).subspan(static_cast<size_t>(t) * 64, 64)));
      }
    }
  }
}

TEST(IndexSelect, threads_and_pages_do_not_change_a_bit) {
  std::mt19937 random(4);
  for (const int64_t T : {1, 3, 9, 40}) {
    const Problem problem({.T = T, .H = 12, .D = 32, .n_keys = 5000, .topk = 100, .format = KvFormat::kFp4}, random);
    for (const auto& version : supported_versions()) {
      CpuDevice alone({.n_threads = 1});
      const Selection want = problem.run(alone, version, problem.pages(32));
      for (const int n_threads : {2, 3, 8}) {
        CpuDevice cpu({.n_threads = n_threads});
        for (const int64_t rows_per_page : {1, 32, 10000}) {
          EXPECT_EQ(problem.run(cpu, version, problem.pages(rows_per_page)), want)
              << cpu_level_name(version.level) << " T " << T << " threads " << n_threads << " page " << rows_per_page;
        }
      }
    }
  }
}

TEST(IndexSelect, the_vector_versions_give_the_same_bits) {
  if (detected_cpu_level() < CpuLevel::kAvx512) GTEST_SKIP() << "needs AVX-512";
  std::mt19937 random(5);
  for (const KvFormat format : {KvFormat::kFp4, KvFormat::kF32}) {
    const Problem problem({.T = 3, .H = 64, .D = 128, .n_keys = 700, .topk = 64, .format = format}, random);
    CpuDevice cpu({.n_threads = 2});
    const auto versions = index_select_versions();
    EXPECT_EQ(problem.run(cpu, versions[2], problem.pages()), problem.run(cpu, versions[1], problem.pages()));
  }
}

TEST(IndexSelect, a_token_that_sees_no_more_than_topk_takes_everything) {
  std::mt19937 random(6);
  Problem problem({.T = 6, .H = 4, .D = 32, .n_keys = 50, .topk = 20, .format = KvFormat::kFp4}, random);
  problem.visible = {0, 1, 19, 20, 21, 50};
  for (const auto& version : supported_versions()) {
    for (const int n_threads : {1, 8}) {
      CpuDevice cpu({.n_threads = n_threads});
      const Selection selection = problem.run(cpu, version, problem.pages(), false);
      EXPECT_EQ(selection.n_chosen, (std::vector<int64_t>{0, 1, 19, 20, 20, 20}));
      for (size_t t = 0; t < 4; ++t) {
        for (int64_t i = 0; i < 20; ++i) {
          EXPECT_EQ(selection.chosen[t * 20 + static_cast<size_t>(i)], i < problem.visible[t] ? i : -1);
        }
      }
    }
  }
}

TEST(IndexSelect, rows_of_zeros_and_huge_scores_are_ranked_right) {
  std::mt19937 random(8);
  for (const KvFormat format : {KvFormat::kF32, KvFormat::kFp4}) {
    Problem zeros({.T = 2, .H = 8, .D = 32, .n_keys = 600, .topk = 5, .format = format}, random);
    std::fill(zeros.keys.begin(), zeros.keys.end(), 0.0f);
    zeros.visible = {600, 600};
    Problem huge({.T = 2, .H = 8, .D = 32, .n_keys = 600, .topk = 5, .format = format}, random);
    for (float& v : huge.q) v = std::ldexp(v, 60);
    for (float& v : huge.keys) v = std::ldexp(v, 50);
    CpuDevice cpu({.n_threads = 2});
    for (const auto& version : supported_versions()) {
      EXPECT_EQ(zeros.run(cpu, version, zeros.pages()).chosen, (std::vector<int32_t>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4}));
      const Selection got = huge.run(cpu, version, huge.pages());
      expect_best_of_scores(huge, got, cpu_level_name(version.level));
      const Selection want = huge.run(cpu, index_select_versions().front(), huge.pages());
      EXPECT_TRUE(within(got.scores, want.scores, {.rtol = 0, .atol = std::ldexp(1e-5 * huge.magnitude(), 110)}));
    }
  }
}

TEST(TopkStream, any_cut_of_the_scores_gives_the_same_choice) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    const auto n = static_cast<int64_t>(random() % 4000);
    const int64_t k = 1 + static_cast<int64_t>(random() % 400);
    std::vector<float> scores(static_cast<size_t>(n));
    const auto n_values = static_cast<uint32_t>(1 + random() % 2000);  // few values: many ties
    for (float& s : scores) s = (random() % 2 == 0 ? -0.25f : 0.25f) * static_cast<float>(random() % n_values);
    if (n > 2) scores[static_cast<size_t>(n / 2)] = -std::numeric_limits<float>::infinity();
    std::vector<int32_t> want(static_cast<size_t>(k), -1);
    select_topk(scores.data(), n, k, want.data());

    // Two streams of pieces, merged into a third.
    TopkStream front, back, whole;
    front.reset(k);
    back.reset(k);
    whole.reset(k);
    const int64_t border = n == 0 ? 0 : static_cast<int64_t>(random() % static_cast<uint32_t>(n));
    for (int64_t at = 0; at < n;) {
      const int64_t limit = at < border ? border : n;
      const int64_t piece = std::min<int64_t>(1 + static_cast<int64_t>(random() % TopkStream::kPieceMax), limit - at);
      (at < border ? front : back).offer(scores.data() + at, piece, at);
      at += piece;
    }
    whole.merge(back.best());
    whole.merge(front.best());
    std::vector<int32_t> got(static_cast<size_t>(k), -1);
    ASSERT_EQ(whole.write_ascending(got.data()), std::min(n, k));
    ASSERT_EQ(got, want) << "n " << n << " k " << k;
  }
}

}  // namespace
}  // namespace hadal::ops
