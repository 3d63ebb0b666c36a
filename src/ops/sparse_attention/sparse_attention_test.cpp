// The reference against golden vectors, every version against the reference, and promise "repeatable": the same bits
// alone and in a batch, with any number of threads, in any pages.
#include "ops/sparse_attention/sparse_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>
#include <string>

#include "ops/sparse_attention/sparse_attention_kernels.h"
#include "testing/compare.h"
#include "testing/golden.h"

namespace hadal::ops {
namespace {

using test::GoldenFile;
using test::same_bits;
using test::within;

std::vector<Version<SparseAttention>> supported_versions() {
  std::vector<Version<SparseAttention>> versions;
  for (const auto& version : sparse_attention_versions()) {
    if (version.level <= detected_cpu_level()) versions.push_back(version);
  }
  return versions;
}

// Rows in memory, cut into pages that lie in no order.
class Pages {
 public:
  Pages(std::span<const float> rows, KvFormat format, int64_t D, int64_t rope_dim, int64_t rows_per_page) {
    const int64_t n = static_cast<int64_t>(rows.size()) / D;
    const int64_t n_pages = (n + rows_per_page - 1) / rows_per_page;
    const int64_t row_bytes = kv_row_bytes(format, D, rope_dim);
    constexpr int64_t kOffset = 24;  // entries begin somewhere inside a page
    const int64_t page_bytes = kOffset + rows_per_page * row_bytes;
    memory_.resize(static_cast<size_t>(n_pages * page_bytes));
    for (int64_t i = 0; i < n_pages; ++i) pages_.push_back(memory_.data() + (n_pages - 1 - i) * page_bytes);
    paged_ = {.pages = pages_.data(),
              .rows_per_page = rows_per_page,
              .offset = kOffset,
              .row_bytes = row_bytes,
              .format = format};
    for (int64_t j = 0; j < n; ++j) {
      encode_row(format, rows.data() + j * D, D, rope_dim, const_cast<std::byte*>(paged_.row(j)));
    }
  }
  const PagedRows& paged() const { return paged_; }

 private:
  std::vector<std::byte> memory_;
  std::vector<const std::byte*> pages_;
  PagedRows paged_;
};

struct Sizes {
  int64_t T = 1;
  int64_t H = 4;
  int64_t D = 32;
  int64_t rope_dim = 0;
  int64_t window = 16;    // a token sees up to this many rows; 0: there are none, and no sink, as in MLA
  int64_t n_entries = 0;  // compressed entries there are
  int64_t n_chosen = -1;  // of them per token; -1: the first ones, some more for each token
  KvFormat format = KvFormat::kF32;
  int64_t value_dim = 0;  // 0: all channels

  int64_t values() const { return value_dim == 0 ? D : value_dim; }
};

// A random problem. Scores are a few units wide, as trained models have them.
struct Problem {
  Problem(const Sizes& of, std::mt19937& random) : sizes(of) {
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& x, int64_t n) {
      x.resize(static_cast<size_t>(n));
      for (float& v : x) v = normal(random);
    };
    fill(q, sizes.T * sizes.H * sizes.D);
    for (float& v : q) v *= 2.0f;
    fill(sink, sizes.H);
    fill(window_rows, (sizes.T + sizes.window) * sizes.D);
    fill(entries, sizes.n_entries * sizes.D);
    const int64_t row_bytes = kv_row_bytes(sizes.format, sizes.D, sizes.rope_dim);
    window.resize(static_cast<size_t>((sizes.T + sizes.window) * row_bytes));
    for (int64_t i = 0; i < sizes.T + sizes.window; ++i) {
      encode_row(sizes.format, window_rows.data() + i * sizes.D, sizes.D, sizes.rope_dim,
                 window.data() + i * row_bytes);
    }
    for (int64_t t = 0; t < sizes.T; ++t) {
      window_begin.push_back(t);
      if (sizes.window > 0) {
        window_n.push_back(1 + static_cast<int64_t>(random() % static_cast<uint32_t>(sizes.window)));
      }
      if (sizes.n_chosen < 0) {
        n_chosen.push_back(std::min<int64_t>(sizes.n_entries, sizes.n_entries / 2 + t));
        continue;
      }
      std::vector<int32_t> order(static_cast<size_t>(sizes.n_entries));
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), random);
      std::sort(order.begin(), order.begin() + sizes.n_chosen);
      chosen.insert(chosen.end(), order.begin(), order.begin() + sizes.n_chosen);
      n_chosen.push_back(sizes.n_chosen);
    }
  }

  // Output of tokens [begin, end).
  std::vector<float> run(CpuDevice& cpu, const Version<SparseAttention>& version, const Pages& pages, int64_t begin = 0,
                         int64_t end = -1) const {
    if (end < 0) end = sizes.T;
    const bool has_window = sizes.window > 0;
    const int64_t rows_max = sizes.window + sizes.n_entries;
    const auto scratch_bytes =
        static_cast<size_t>(sparse_attention_scratch_bytes(cpu.pool().size(), sizes.H, sizes.D, rows_max));
    std::vector<std::byte> scratch(scratch_bytes + 64, std::byte{0xFF});  // NaNs where nobody wrote
    void* aligned = scratch.data();
    size_t space = scratch.size();
    std::align(64, scratch_bytes, aligned, space);
    std::vector<float> out(static_cast<size_t>((end - begin) * sizes.H * sizes.values()), -7.0f);
    const auto b = static_cast<size_t>(begin);
    version.run(cpu, {.q = q.data() + begin * sizes.H * sizes.D,
                      .out = out.data(),
                      .sink = has_window ? sink.data() : nullptr,
                      .T = end - begin,
                      .H = sizes.H,
                      .D = sizes.D,
                      .value_dim = sizes.values(),
                      .rope_dim = sizes.rope_dim,
                      .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(sizes.D))),
                      .window = window.data(),
                      .window_row_bytes = kv_row_bytes(sizes.format, sizes.D, sizes.rope_dim),
                      .format = sizes.format,
                      .window_begin = has_window ? window_begin.data() + b : nullptr,
                      .window_n = has_window ? window_n.data() + b : nullptr,
                      .entries = pages.paged(),
                      .chosen = chosen.empty() ? nullptr : chosen.data() + begin * sizes.n_chosen,
                      .chosen_stride = std::max<int64_t>(sizes.n_chosen, 0),
                      .n_chosen = sizes.n_entries == 0 ? nullptr : n_chosen.data() + b,
                      .scratch = static_cast<std::byte*>(aligned),
                      .rows_max = rows_max});
    return out;
  }

  Pages pages(int64_t rows_per_page = 32) const {
    return Pages(entries, sizes.format, sizes.D, sizes.rope_dim, rows_per_page);
  }

  Sizes sizes;
  std::vector<float> q, sink, window_rows, entries;
  std::vector<std::byte> window;
  std::vector<int64_t> window_begin, window_n, n_chosen;
  std::vector<int32_t> chosen;
};

// Within 1e-5 of the largest |kv|, here below 6: dots, exponentials and sums of float against double.
constexpr test::Tolerance kTolerance = {.rtol = 0, .atol = 4e-5};

TEST(SparseAttention, every_version_agrees_with_the_goldens) {
  const GoldenFile golden("layers/sink_attention.safetensors");
  for (const std::string c : {"c0.", "c1.", "c2."}) {
    const int64_t T = golden.shape(c + "q")[0];
    const int64_t H = golden.shape(c + "q")[1];
    const int64_t D = golden.shape(c + "q")[2];
    const int64_t n_slots = golden.shape(c + "idx")[1];
    const Pages pages(golden.f32(c + "kv"), KvFormat::kF32, D, 0, 16);
    // A slot of -1 is no row: the lists close up.
    std::vector<int32_t> chosen(static_cast<size_t>(T * n_slots));
    std::vector<int64_t> n_chosen(static_cast<size_t>(T));
    for (int64_t t = 0; t < T; ++t) {
      for (int64_t i = 0; i < n_slots; ++i) {
        const int32_t j = golden.i32(c + "idx")[static_cast<size_t>(t * n_slots + i)];
        int64_t& n = n_chosen[static_cast<size_t>(t)];
        if (j >= 0) chosen[static_cast<size_t>(t * n_slots + n++)] = j;
      }
    }
    const std::vector<int64_t> no_window(static_cast<size_t>(T), 0);
    for (const auto& version : supported_versions()) {
      CpuDevice cpu({.n_threads = 2});
      std::vector<float> scratch(static_cast<size_t>(sparse_attention_scratch_bytes(2, H, D, n_slots)) / 4);
      std::vector<float> out(static_cast<size_t>(T * H * D));
      version.run(cpu, {.q = golden.f32(c + "q").data(),
                        .out = out.data(),
                        .sink = golden.f32(c + "sink").data(),
                        .T = T,
                        .H = H,
                        .D = D,
                        .value_dim = D,
                        .rope_dim = 0,
                        .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(D))),
                        .window = nullptr,
                        .window_row_bytes = 0,
                        .format = KvFormat::kF32,
                        .window_begin = no_window.data(),
                        .window_n = no_window.data(),
                        .entries = pages.paged(),
                        .chosen = chosen.data(),
                        .chosen_stride = n_slots,
                        .n_chosen = n_chosen.data(),
                        .scratch = reinterpret_cast<std::byte*>(scratch.data()),
                        .rows_max = n_slots});
      EXPECT_TRUE(within(out, golden.f32(c + "out"), {.rtol = 1e-5, .atol = 2e-6}))
          << c << cpu_level_name(version.level);
    }
  }
}

TEST(SparseAttention, every_version_agrees_with_the_reference_on_random_shapes) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    const Sizes sizes = {
        .T = 1 + static_cast<int64_t>(random() % 14),
        .H = 1 + static_cast<int64_t>(random() % 9),
        .D = std::array{16, 32, 80, 128, 512}[random() % 5],
        .rope_dim = 16,
        .window = 1 + static_cast<int64_t>(random() % 130),
        .n_entries = static_cast<int64_t>(random() % 200),
        .n_chosen = -1,
        .format = std::array{KvFormat::kF32, KvFormat::kBf16, KvFormat::kFp8, KvFormat::kFp8By128}[random() % 4]};
    Sizes with_choice = sizes;
    if (random() % 3 == 0) {
      with_choice.window = 0;
      with_choice.value_dim = 16 * (1 + static_cast<int64_t>(random() % static_cast<uint32_t>(sizes.D / 16)));
    }
    if (random() % 2 == 0) with_choice.n_chosen = sizes.n_entries / 3;
    const Problem problem(with_choice, random);
    const Pages pages = problem.pages();
    CpuDevice cpu({.n_threads = 1 + static_cast<int>(random() % 3)});
    const std::vector<float> want = problem.run(cpu, sparse_attention_versions().front(), pages);
    for (const auto& version : supported_versions()) {
      ASSERT_TRUE(within(problem.run(cpu, version, pages), want, kTolerance))
          << cpu_level_name(version.level) << " T " << sizes.T << " H " << sizes.H << " D " << sizes.D << " round "
          << round;
    }
  }
}

TEST(SparseAttention, every_version_agrees_with_the_reference_in_the_released_geometry) {
  std::mt19937 random(7);
  // CSA: window and 512 chosen of 4,096 entries. HCA at position 1,048,575: window and 8,192 entries.
  for (const Sizes& sizes : {Sizes{.T = 2,
                            .H = 64,
                            .D = 512,
                            .rope_dim = 64,
                            .window = 128,
                            .n_entries = 4096,
                            .n_chosen = 512,
                            .format = KvFormat::kFp8},
                             Sizes{.T = 1,
                             .H = 6,
                             .D = 512,
                             .rope_dim = 64,
                             .window = 128,
                             .n_entries = 8192,
                             .n_chosen = 8192,
                             .format = KvFormat::kFp8},
                             // V3: latents of 512 channels, of which a query also meets 64 rotated ones.
                             Sizes{.T = 2,
                             .H = 128,
                             .D = 576,
                             .rope_dim = 64,
                             .window = 0,
                             .n_entries = 1000,
                             .n_chosen = -1,
                             .format = KvFormat::kBf16,
                             .value_dim = 512},
                             // V3.2: 2,048 chosen of 4,096 such latents.
                             Sizes{.T = 1,
                             .H = 128,
                             .D = 576,
                             .rope_dim = 64,
                             .window = 0,
                             .n_entries = 4096,
                             .n_chosen = 2048,
                             .format = KvFormat::kBf16,
                             .value_dim = 512}}) {
    const Problem problem(sizes, random);
    const Pages pages = problem.pages();
    CpuDevice cpu({.n_threads = 2});
    const std::vector<float> want = problem.run(cpu, sparse_attention_versions().front(), pages);
    for (const auto& version : supported_versions()) {
      EXPECT_TRUE(within(problem.run(cpu, version, pages), want, kTolerance)) << cpu_level_name(version.level);
    }
  }
}

TEST(SparseAttention, a_token_gives_the_same_bits_alone_and_in_a_batch) {
  std::mt19937 random(3);
  const Problem problem({.T = 13,
                         .H = 6,
                         .D = 80,
                         .rope_dim = 16,
                         .window = 100,
                         .n_entries = 150,
                         .n_chosen = 70,
                         .format = KvFormat::kFp8},
                        random);
  const Pages pages = problem.pages();
  const auto width = static_cast<size_t>(problem.sizes.H * problem.sizes.D);
  for (const auto& version : supported_versions()) {
    CpuDevice cpu({.n_threads = 3});
    const std::vector<float> whole = problem.run(cpu, version, pages);
    for (int64_t t = 0; t < problem.sizes.T; ++t) {
      EXPECT_TRUE(same_bits(problem.run(cpu, version, pages, t, t + 1),
                            std::span(whole).subspan(static_cast<size_t>(t) * width, width)))
          << cpu_level_name(version.level) << " token " << t;
    }
  }
}

TEST(SparseAttention, threads_and_pages_do_not_change_a_bit) {
  std::mt19937 random(4);
  std::vector<Sizes> all;
  for (const int64_t T : {1, 5, 40}) {  // all threads on a token; the same; a token a thread
    const Sizes sizes{.T = T,
                      .H = 7,
                      .D = 128,
                      .rope_dim = 64,
                      .window = 128,
                      .n_entries = 300,
                      .n_chosen = 210,
                      .format = KvFormat::kBf16};
    all.push_back(sizes);
    all.push_back(sizes);
    all.back().window = 0;
    all.back().value_dim = 80;
  }
  for (const Sizes& sizes : all) {
    const Problem problem(sizes, random);
    for (const auto& version : supported_versions()) {
      CpuDevice alone({.n_threads = 1});
      const std::vector<float> want = problem.run(alone, version, problem.pages(32));
      for (const int n_threads : {2, 3, 8}) {
        CpuDevice cpu({.n_threads = n_threads});
        for (const int64_t rows_per_page : {1, 32, 1000}) {
          EXPECT_TRUE(same_bits(problem.run(cpu, version, problem.pages(rows_per_page)), want))
              << cpu_level_name(version.level) << " T " << sizes.T << " threads " << n_threads << " page "
              << rows_per_page;
        }
      }
    }
  }
}

TEST(SparseAttention, the_vector_versions_give_the_same_bits) {
  if (detected_cpu_level() < CpuLevel::kAvx512) GTEST_SKIP() << "needs AVX-512";
  std::mt19937 random(5);
  const Problem problem({.T = 3,
                         .H = 10,
                         .D = 512,
                         .rope_dim = 64,
                         .window = 128,
                         .n_entries = 512,
                         .n_chosen = 300,
                         .format = KvFormat::kFp8},
                        random);
  CpuDevice cpu({.n_threads = 2});
  const auto versions = sparse_attention_versions();
  EXPECT_TRUE(
      same_bits(problem.run(cpu, versions[2], problem.pages()), problem.run(cpu, versions[1], problem.pages())));
}

TEST(SparseAttention, extreme_values_stay_finite_and_right) {
  std::mt19937 random(6);
  const Sizes sizes = {
      .T = 3, .H = 5, .D = 64, .rope_dim = 16, .window = 40, .n_entries = 0, .n_chosen = -1, .format = KvFormat::kF32};
  const auto expect_all_agree = [](const Problem& problem, const char* what) {
    CpuDevice cpu({.n_threads = 2});
    const std::vector<float> want = problem.run(cpu, sparse_attention_versions().front(), problem.pages());
    for (const auto& version : supported_versions()) {
      EXPECT_TRUE(within(problem.run(cpu, version, problem.pages()), want, kTolerance))
          << what << " " << cpu_level_name(version.level);
    }
    return want;
  };
  Problem sinks(sizes, random);
  sinks.sink = {50.0f, -50.0f, 0.0f, 100.0f, -1e30f};
  expect_all_agree(sinks, "sinks");

  // The sink outweighs everything: no key has any weight.
  Problem hidden(sizes, random);
  std::fill(hidden.sink.begin(), hidden.sink.end(), 1e30f);
  for (const float v : expect_all_agree(hidden, "hidden keys")) EXPECT_EQ(v, 0.0f);

  Problem one_key(sizes, random);
  std::fill(one_key.window_n.begin(), one_key.window_n.end(), 1);
  expect_all_agree(one_key, "one key");

  Problem nothing(sizes, random);
  std::fill(nothing.window_n.begin(), nothing.window_n.end(), 0);
  for (const float v : expect_all_agree(nothing, "no row")) EXPECT_EQ(v, 0.0f);

  Sizes latents = sizes;
  latents.window = 0;
  latents.n_entries = 9;
  latents.value_dim = 48;
  Problem no_latents(latents, random);
  std::fill(no_latents.n_chosen.begin(), no_latents.n_chosen.end(), 0);
  for (const float v : expect_all_agree(no_latents, "no row and no sink")) EXPECT_EQ(v, 0.0f);

  Problem zeros(sizes, random);
  std::fill(zeros.window.begin(), zeros.window.end(), std::byte{0});
  for (const float v : expect_all_agree(zeros, "zero rows")) EXPECT_EQ(v, 0.0f);

  // Scores of +-1e30: the largest alone counts, and no sum overflows. Powers of two keep float and double in agreement.
  Problem huge(sizes, random);
  for (float& v : huge.q) v = std::ldexp(v, 100);
  expect_all_agree(huge, "huge scores");
}

#if defined(__x86_64__)
TEST(SparseAttention, exponentials_are_within_2_ulp) {
  std::vector<const SparseAttentionKernels*> kernels;
  if (detected_cpu_level() >= CpuLevel::kAvx2) kernels.push_back(&kSparseAttentionKernelsAvx2);
  if (detected_cpu_level() >= CpuLevel::kAvx512) kernels.push_back(&kSparseAttentionKernelsAvx512);
  // Against a sink of 0 scores below 0 become their exponentials. 2^20 of them, evenly over [-87.3, 0].
  constexpr int64_t kN = 1 << 20;
  std::vector<float> x(kN), want(kN);
  for (size_t i = 0; i < kN; ++i) {
    x[i] = -87.3f * static_cast<float>(i) / kN;
    want[i] = static_cast<float>(std::exp(static_cast<double>(x[i])));
  }
  for (const SparseAttentionKernels* k : kernels) {
    std::vector<float> got = x;
    k->softmax(got.data(), kN, 0.0f);
    EXPECT_TRUE(test::within_ulp(got, want, 2)) << cpu_level_name(k->level);
    EXPECT_EQ(got[0], 1.0f);
    std::vector<float> tiny = {-1e30f, -std::numeric_limits<float>::infinity(), -200.0f, -88.0f, -0.0f, 0.0f};
    tiny.resize(16);
    EXPECT_EQ(k->softmax(tiny.data(), 6, 0.0f), 3.0f);
    EXPECT_TRUE(same_bits(std::span(tiny).first(6), std::vector<float>{0, 0, 0, 0, 1, 1}));
    tiny[1] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(k->softmax(tiny.data(), 6, 0.0f)));
  }
}
#endif

}  // namespace
}  // namespace hadal::ops
