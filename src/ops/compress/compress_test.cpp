#include "ops/compress/compress.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/rope/rope.h"
#include "testing/golden.h"
#include "testing/ops.h"

namespace hadal::ops {
namespace {

using test::GoldenFile;
using test::random_floats;
using test::within;

struct Problem {
  int64_t T;  // groups
  int64_t m;
  int64_t d;
  int64_t coff;
  int64_t rope_dim;
  std::vector<float> k;     // [T m, coff d], from the first token of the sequence
  std::vector<float> z;     // [T m, coff d]
  std::vector<float> ape;   // [m, coff d], or empty
  std::vector<float> gain;  // [d]
  std::vector<float> freqs;
  int64_t first_group = 0;  // where group 0 stands in the sequence; only the angles depend on it

  // Groups [first, first + n), fed as the engine does: their rows, and with overlap the rows of the group before.
  std::vector<float> run(void (*version)(CpuDevice&, const Compress&), CpuDevice& cpu, int64_t first, int64_t n) const {
    std::vector<float> cos_sin(static_cast<size_t>(n * rope_dim));
    for (int64_t g = 0; g < n; ++g) rope_cos_sin(freqs, (first_group + first + g) * m, cos_sin.data() + g * rope_dim);
    std::vector<float> out(static_cast<size_t>(n * d), -1.0f);
    const bool has_previous = coff == 2 && first > 0;
    const int64_t offset = (first - (has_previous ? 1 : 0)) * m * coff * d;
    version(cpu, {.k = k.data() + offset,
                  .z = z.data() + offset,
                  .ape = ape.empty() ? nullptr : ape.data(),
                  .gain = gain.data(),
                  .cos_sin = cos_sin.data(),
                  .out = out.data(),
                  .m = m,
                  .d = d,
                  .coff = coff,
                  .rope_dim = rope_dim,
                  .n_groups = n,
                  .has_previous = has_previous,
                  .eps = 1e-6f});
    return out;
  }
};

Problem random_problem(int64_t groups, int64_t m, int64_t d, int64_t coff, int64_t rope_dim, uint64_t seed) {
  const int64_t width = coff * d;
  return {.T = groups,
          .m = m,
          .d = d,
          .coff = coff,
          .rope_dim = rope_dim,
          .k = random_floats(seed, groups * m * width, 2),
          .z = random_floats(seed + 1, groups * m * width, 3),
          .ape = random_floats(seed + 2, m * width),
          .gain = random_floats(seed + 3, d),
          .freqs = rope_frequencies({.theta = 160000, .rope_dim = rope_dim, .factor = 16, .original_tokens = 65536})};
}

::testing::AssertionResult agrees(const Problem& p, const Version<Compress>& version) {
  CpuDevice cpu({.n_threads = 1});
  // The contract: 4e-6 of the entry's root mean square, which is about the gain's, 1; sums of 128 floats and scores of
  // about 10 whose rounding goes into exp are the larger part.
  return within(p.run(version.run, cpu, 0, p.T), p.run(compress_reference, cpu, 0, p.T), {.rtol = 4e-6, .atol = 8e-6});
}

TEST(Compress, gives_the_entries_of_the_worked_example) {
  // Worked example 10.4: 8 tokens, ratio 4, two channels that both rotate with f = 1. The op's width is a multiple of
  // 16, so each channel pair stands there eight times, which changes neither means nor norms.
  constexpr int64_t kCopies = 8;
  const float k[8][4] = {{1, 0, 2, 1}, {0, 1, -1, 2}, {2, 2, 0, 0}, {-1, 1, 1, -1},
                         {3, 0, 1, 1}, {0, 0, 2, -2}, {1, 1, 0, 3}, {2, -1, 1, 0}};
  const float z[8][4] = {{0, 0, 0.5f, 0}, {1, -1, 0, 0.5f}, {0.5f, 0.5f, 1, 0}, {0, 1, -1, 1},
                         {0.2f, 0, 0, 0}, {0, 0.3f, 1, -1}, {1, 0, 0.5f, 0.5f}, {-0.5f, 0.5f, 0, 1}};
  const float ape[4][4] = {{0, 0, 0.1f, 0.2f}, {0.1f, 0, 0, -0.1f}, {0, 0.2f, 0.3f, 0}, {-0.2f, 0.1f, 0, 0}};
  const auto widen = [](const auto& rows) {
    std::vector<float> wide;
    for (const auto& row : rows) {
      for (const size_t half : {0u, 2u}) {
        for (int64_t i = 0; i < kCopies; ++i) wide.insert(wide.end(), {row[half], row[half + 1]});
      }
    }
    return wide;
  };
  const Problem p{.T = 2,
                  .m = 4,
                  .d = 2 * kCopies,
                  .coff = 2,
                  .rope_dim = 2 * kCopies,
                  .k = widen(k),
                  .z = widen(z),
                  .ape = widen(ape),
                  .gain = std::vector<float>(2 * kCopies, 1.0f),
                  .freqs = std::vector<float>(kCopies, 1.0f)};
  std::vector<float> want;
  for (int64_t i = 0; i < kCopies; ++i) want.insert(want.end(), {1.2514006f, 0.6587717f});
  for (int64_t i = 0; i < kCopies; ++i) want.insert(want.end(), {0.2775135f, -1.386717f});
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(compress_versions(), [&](const Version<Compress>& version) {
    // 1e-6: the specification's tolerance; the rotation's two products partly cancel.
    EXPECT_TRUE(within(p.run(version.run, cpu, 0, 2), want, {.rtol = 1e-6, .atol = 1e-6}));
  });
}

struct GoldenCase {
  const char* name;
  int64_t m;
  int64_t coff;
  std::vector<std::vector<int64_t>> chunkings;
};

const GoldenCase kGoldenCases[] = {
    {"c0.", 4, 2, {std::vector<int64_t>(39, 1), {3, 1, 1, 1, 2, 7, 24}, {4, 4, 31}, {38, 1}, {5, 34}}},
    {"c1.", 128, 1, {{127, 1, 1, 260}, {128, 128, 133}, {388, 1}}},
    {"c2.", 2, 1, {std::vector<int64_t>(31, 1), {3, 28}}},
    {"c3.", 1, 1, {std::vector<int64_t>(9, 1)}},
    {"c4.", 4, 2, {{1, 2}}},  // three tokens: no group is complete
};

Problem golden_problem(const GoldenFile& golden, const GoldenCase& c) {
  const std::string name = c.name;
  const auto x = golden.f32(name + "x");
  const auto tokens = static_cast<size_t>(golden.shape(name + "x")[0]);
  const auto C = static_cast<size_t>(golden.shape(name + "x")[1]);
  const auto width = static_cast<size_t>(golden.shape(name + "wkv")[0]);
  const auto project = [&](const char* weight) {
    std::vector<float> y(tokens * width, 0.0f);
    if (!golden.has(name + weight)) return y;  // ratio 1 has no gate: a softmax over one row
    const auto w = golden.f32(name + weight);
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t n = 0; n < width; ++n) {
        double sum = 0;
        for (size_t i = 0; i < C; ++i) sum += static_cast<double>(w[n * C + i]) * x[t * C + i];
        y[t * width + n] = static_cast<float>(sum);
      }
    }
    return y;
  };
  const auto gain = golden.f32(name + "norm");
  Problem p{.T = static_cast<int64_t>(tokens) / c.m,
            .m = c.m,
            .d = static_cast<int64_t>(width) / c.coff,
            .coff = c.coff,
            .rope_dim = 8,
            .k = project("wkv"),
            .z = project("wgate"),
            .ape = {},
            .gain = {gain.begin(), gain.end()},
            .freqs = rope_frequencies({.theta = 160000, .rope_dim = 8, .factor = 16, .original_tokens = 64})};
  if (golden.has(name + "ape")) {
    const auto ape = golden.f32(name + "ape");
    p.ape.assign(ape.begin(), ape.end());
  }
  return p;
}

TEST(Compress, agrees_with_the_goldens) {
  const GoldenFile golden("layers/compressor.safetensors");
  CpuDevice cpu({.n_threads = 1});
  for (const GoldenCase& c : kGoldenCases) {
    SCOPED_TRACE(c.name);
    const Problem p = golden_problem(golden, c);
    test::for_each_version(compress_versions(), [&](const Version<Compress>& version) {
      // Angles of up to 389 rad are float products here and exact in the goldens: 3e-5 rad.
      EXPECT_TRUE(within(p.run(version.run, cpu, 0, p.T), golden.f32(std::string(c.name) + "out"),
                         {.rtol = 1e-5, .atol = 5e-5}));
    });
  }
}

TEST(Compress, chunks_give_the_bits_of_the_whole) {
  const GoldenFile golden("layers/compressor.safetensors");
  CpuDevice cpu({.n_threads = 1});
  for (const GoldenCase& c : kGoldenCases) {
    SCOPED_TRACE(c.name);
    const Problem p = golden_problem(golden, c);
    test::for_each_version(compress_versions(), [&](const Version<Compress>& version) {
      const std::vector<float> whole = p.run(version.run, cpu, 0, p.T);
      for (const std::vector<int64_t>& chunks : c.chunkings) {
        // After each chunk the groups that it completed.
        std::vector<float> entries;
        int64_t tokens = 0;
        int64_t groups = 0;
        for (const int64_t chunk : chunks) {
          tokens += chunk;
          const std::vector<float> completed = p.run(version.run, cpu, groups, tokens / p.m - groups);
          entries.insert(entries.end(), completed.begin(), completed.end());
          groups = tokens / p.m;
        }
        EXPECT_TRUE(test::same_bits(entries, whole));
      }
    });
  }
}

RC_GTEST_PROP(Compress, every_version_agrees_with_the_reference_on_random_shapes, ()) {
  const int64_t d = 16 * *rc::gen::inRange<int64_t>(1, 40);
  Problem p = random_problem(*rc::gen::inRange<int64_t>(0, 4), *rc::gen::inRange<int64_t>(1, 20), d,
                             *rc::gen::inRange<int64_t>(1, 3), 2 * *rc::gen::inRange<int64_t>(1, d / 2 + 1),
                             *rc::gen::inRange<uint64_t>(0, 1u << 31));
  if (*rc::gen::arbitrary<bool>()) p.ape.clear();
  test::for_each_version(compress_versions(), [&](const Version<Compress>& version) {
    const auto result = agrees(p, version);
    if (!result) RC_FAIL(std::string(result.message()));
  });
}

TEST(Compress, every_version_agrees_with_the_reference_at_the_shapes_of_v4) {
  // CSA entries, index keys, HCA entries; the last groups of a context of 1,048,576 tokens.
  Problem csa = random_problem(6, 4, 512, 2, 64, 1);
  csa.first_group = 262'138;
  Problem index = random_problem(6, 4, 128, 2, 64, 2);
  Problem hca = random_problem(2, 128, 512, 1, 64, 3);
  hca.first_group = 8190;
  for (const Problem& p : {csa, index, hca}) {
    test::for_each_version(compress_versions(), [&](const Version<Compress>& v) { EXPECT_TRUE(agrees(p, v)); });
    test::expect_vector_versions_agree_to_the_bit(compress_versions(), p);
  }
}

TEST(Compress, a_group_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  test::expect_rows_do_not_depend_on_company(compress_versions(), random_problem(40, 4, 512, 2, 64, 4));
  test::expect_rows_do_not_depend_on_company(compress_versions(), random_problem(5, 128, 512, 1, 64, 5));
}

TEST(Compress, nan_stays_in_the_groups_that_read_it_and_zeros_give_zeros) {
  Problem p = random_problem(4, 4, 32, 2, 8, 6);
  // Token 6, first half: read by group 2 alone, as its previous group. The second half is read by group 1.
  p.k[6 * 64 + 5] = std::numeric_limits<float>::quiet_NaN();
  std::fill(p.k.begin() + 8 * 64, p.k.end(), 0.0f);  // tokens 8 to 15: group 3 reads nothing else
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(compress_versions(), [&](const Version<Compress>& version) {
    const std::vector<float> out = p.run(version.run, cpu, 0, 4);
    for (size_t c = 0; c < 32; ++c) {
      EXPECT_TRUE(std::isfinite(out[c]) && std::isfinite(out[32 + c]));
      EXPECT_TRUE(std::isnan(out[64 + c]));
      EXPECT_EQ(out[96 + c], 0.0f);
    }
  });
}

}  // namespace
}  // namespace hadal::ops
