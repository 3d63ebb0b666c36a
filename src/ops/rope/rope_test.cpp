#include "ops/rope/rope.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "testing/golden.h"
#include "testing/ops.h"

namespace hadal::ops {
namespace {

using test::GoldenFile;
using test::random_floats;
using test::within;
using test::within_ulp;

const RopeFrequencies kWindowLayers{.theta = 10000, .rope_dim = 64};
const RopeFrequencies kCompressedLayers{.theta = 160000, .rope_dim = 64, .factor = 16, .original_tokens = 65536};

std::vector<float> table_of(const std::vector<float>& freqs, const std::vector<int64_t>& positions) {
  std::vector<float> table(positions.size() * 2 * freqs.size());
  for (size_t t = 0; t < positions.size(); ++t) rope_cos_sin(freqs, positions[t], &table[t * 2 * freqs.size()]);
  return table;
}

struct Problem {
  int64_t T;
  int64_t H;
  int64_t D;
  int64_t rope_dim;
  bool inverse;
  std::vector<float> x;        // [T, H, D]
  std::vector<float> cos_sin;  // [T, rope_dim]

  Problem(int64_t T_, int64_t H_, int64_t D_, int64_t rope_dim_, bool inverse_, int64_t first_position, uint64_t seed)
      : T(T_), H(H_), D(D_), rope_dim(rope_dim_), inverse(inverse_), x(random_floats(seed, T_ * H_ * D_)) {
    std::vector<int64_t> positions;
    for (int64_t t = 0; t < T; ++t) positions.push_back(first_position + t);
    RopeFrequencies spec = kCompressedLayers;
    spec.rope_dim = rope_dim;
    cos_sin = table_of(rope_frequencies(spec), positions);
  }

  std::vector<float> run(void (*version)(CpuDevice&, const Rope&), CpuDevice& cpu, int64_t first, int64_t n) const {
    std::vector<float> y(x.begin() + first * H * D, x.begin() + (first + n) * H * D);
    version(cpu, {.x = y.data(),
                  .T = n,
                  .H = H,
                  .D = D,
                  .t_stride = H * D,
                  .rope_dim = rope_dim,
                  .cos_sin = cos_sin.data() + first * rope_dim,
                  .inverse = inverse});
    return y;
  }
};

// The contract: every output within 2^-22 of its larger product of the exact rotation; other channels untouched.
::testing::AssertionResult is_rotation(const Problem& p, const Version<Rope>& version) {
  CpuDevice cpu({.n_threads = 1});
  const std::vector<float> y = p.run(version.run, cpu, 0, p.T);
  const auto failure = [&](size_t i, double want) {
    return ::testing::AssertionFailure() << "at " << i << ": got " << y[i] << ", want " << want;
  };
  for (int64_t t = 0; t < p.T; ++t) {
    for (int64_t h = 0; h < p.H; ++h) {
      const auto head = static_cast<size_t>((t * p.H + h) * p.D);
      const auto rotated = head + static_cast<size_t>(p.D - p.rope_dim);
      for (size_t i = head; i < rotated; ++i) {
        if (y[i] != p.x[i]) return failure(i, p.x[i]);
      }
      for (size_t i = 0; i < static_cast<size_t>(p.rope_dim); i += 2) {
        const double cos = p.cos_sin[static_cast<size_t>(t * p.rope_dim) + i];
        const double sin = p.cos_sin[static_cast<size_t>(t * p.rope_dim) + i + 1] * (p.inverse ? -1 : 1);
        const double a = p.x[rotated + i];
        const double b = p.x[rotated + i + 1];
        const double first = a * cos - b * sin;
        const double second = a * sin + b * cos;
        const double bound_first = 0x1p-22 * std::max(std::abs(a * cos), std::abs(b * sin));
        const double bound_second = 0x1p-22 * std::max(std::abs(a * sin), std::abs(b * cos));
        if (!(std::abs(y[rotated + i] - first) <= bound_first)) return failure(rotated + i, first);
        if (!(std::abs(y[rotated + i + 1] - second) <= bound_second)) return failure(rotated + i + 1, second);
      }
    }
  }
  return ::testing::AssertionSuccess();
}

// --- frequencies and angles ------------------------------------------------------------------------------------------

TEST(RopeFrequencies, agree_with_the_goldens_of_every_family) {
  const GoldenFile golden("layers/rope.safetensors");
  const struct {
    const char* name;
    RopeFrequencies spec;
  } cases[] = {
      {"c0.", kWindowLayers},
      {"c1.", kCompressedLayers},
      {"c2.", {.theta = 10000, .rope_dim = 64, .factor = 40, .original_tokens = 4096}},
      {"c3.", {.theta = 160000, .rope_dim = 16, .factor = 16, .original_tokens = 64}},
      {"c4.", {.theta = 10000, .rope_dim = 16, .factor = 40, .original_tokens = 128}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    // 2 ulp: the last bit of the power function and of the ramp's products is not defined by the source.
    EXPECT_TRUE(within_ulp(rope_frequencies(c.spec), golden.f32(std::string(c.name) + "freq32"), 2));
  }
}

TEST(RopeFrequencies, give_the_table_of_the_specification) {
  // deepseek-v4, worked example 10.2: YaRN's ramp from pair 15 to pair 25.
  const std::vector<float> want = {1.00000000e+00f, 6.87656045e-01f, 4.72870797e-01f, 3.25172424e-01f, 2.23606795e-01f,
                                   1.53764561e-01f, 1.05737135e-01f, 7.27107748e-02f, 5.00000007e-02f, 3.43828015e-02f,
                                   2.36435384e-02f, 1.62586235e-02f, 1.11803403e-02f, 7.68822804e-03f, 5.28685609e-03f,
                                   3.63553851e-03f, 2.26562493e-03f, 1.39680132e-03f, 8.49689706e-04f, 5.08081983e-04f,
                                   2.96977785e-04f, 1.68179977e-04f, 9.08678412e-05f, 4.54442270e-05f, 1.95312532e-05f,
                                   5.37231244e-06f, 3.69430336e-06f, 2.54040970e-06f, 1.74692798e-06f, 1.20128561e-06f,
                                   8.26071300e-07f, 5.68052940e-07f};
  // 2 ulp: the table was made with a power function in float.
  EXPECT_TRUE(within_ulp(rope_frequencies(kCompressedLayers), want, 2));
  const std::vector<float> window = rope_frequencies(kWindowLayers);
  // 1e-6 relative: the specification prints 8 digits.
  EXPECT_TRUE(within(std::vector<float>{window[1], window[2], window[8], window[31]},
                     std::vector<float>{7.4989420e-01f, 5.6234133e-01f, 1.0e-01f, 1.3335215e-04f}, {.rtol = 1e-6}));
}

TEST(RopeCosSin, agrees_with_the_goldens_up_to_a_million_positions) {
  const GoldenFile golden("layers/rope.safetensors");
  const auto positions = golden.i32("positions");
  for (const std::string name : {"c0.", "c1.", "c2.", "c3.", "c4."}) {
    SCOPED_TRACE(name);
    const auto freqs = golden.f32(name + "freq32");
    const auto cos32 = golden.f32(name + "cos32");
    const auto sin32 = golden.f32(name + "sin32");
    const auto cos64 = golden.f32(name + "cos64");
    const size_t pairs = freqs.size();
    const std::vector<float> table =
        table_of({freqs.begin(), freqs.end()}, std::vector<int64_t>(positions.begin(), positions.end()));
    std::vector<float> cos(cos32.size());
    std::vector<float> sin(cos32.size());
    for (size_t i = 0; i < cos.size(); ++i) {
      cos[i] = table[2 * i];
      sin[i] = table[2 * i + 1];
      // Against exact angles: the float product is off by up to 0.03 rad at a million (fixtures: 0.0252).
      if (positions[i / pairs] <= 4096) {
        EXPECT_NEAR(cos[i], cos64[i], 3e-4);
      } else {
        EXPECT_NEAR(cos[i], cos64[i], 0.03);
      }
    }
    // The same float angle: only the rounding of cosine and sine themselves may differ.
    EXPECT_TRUE(within(cos, cos32, {.atol = 1.2e-7}));
    EXPECT_TRUE(within(sin, sin32, {.atol = 1.2e-7}));
  }
}

TEST(RopeCosSin, takes_the_angle_as_a_float_product) {
  // Trap 33: the double product would give cos 0.38538695.
  float cos_sin[2];
  rope_cos_sin({std::bit_cast<float>(0x3F300A3Au)}, 1'000'003, cos_sin);
  EXPECT_FLOAT_EQ(cos_sin[0], 0.36957843f);
}

// --- the rotation ----------------------------------------------------------------------------------------------------

TEST(Rope, rotates_the_pairs_of_the_worked_example) {
  // Worked example 10.2: the pair (1, 0.5) at (layer kind, pair, position). The goldens have the example's frequencies
  // to the bit; at position 1000 one ulp of a frequency shows.
  const struct {
    const char* freqs;
    int64_t pair;
    int64_t position;
    float a;
    float b;
  } cases[] = {
      {"c1.freq32", 0, 5, 0.76312435f, -0.8170932f},     {"c1.freq32", 0, 1000, 0.14893928f, 1.1080691f},
      {"c1.freq32", 10, 5, 0.9340491f, 0.6144527f},      {"c1.freq32", 10, 1000, 0.5798387f, -0.9559221f},
      {"c1.freq32", 20, 1000, 0.80990946f, 0.77074426f}, {"c1.freq32", 31, 1000, 0.9997158f, 0.500568f},
      {"c0.freq32", 1, 5, -0.5352981f, -0.98155797f},
  };
  const GoldenFile golden("layers/rope.safetensors");
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(rope_versions(), [&](const Version<Rope>& version) {
    for (const auto& c : cases) {
      SCOPED_TRACE(c.pair);
      const auto at = static_cast<size_t>(448 + 2 * c.pair);
      std::vector<float> x(512, 0.0f);
      x[at] = 1.0f;
      x[at + 1] = 0.5f;
      const auto freqs = golden.f32(c.freqs);
      const std::vector<float> table = table_of({freqs.begin(), freqs.end()}, {c.position});
      Rope op{.x = x.data(), .T = 1, .H = 1, .D = 512, .t_stride = 512, .rope_dim = 64, .cos_sin = table.data()};
      version.run(cpu, op);
      std::vector<float> want(512, 0.0f);
      want[at] = c.a;
      want[at + 1] = c.b;
      // 1e-6: the specification's tolerance.
      EXPECT_TRUE(within(x, want, {.rtol = 1e-6, .atol = 1e-6}));
      op.inverse = true;
      version.run(cpu, op);
      EXPECT_NEAR(x[at], 1.0f, 2e-7);
      EXPECT_NEAR(x[at + 1], 0.5f, 2e-7);
    }
  });
}

TEST(Rope, halves_agree_with_the_goldens_and_turn_back) {
  const GoldenFile golden("layers/rope.safetensors");
  CpuDevice cpu({.n_threads = 1});
  for (const std::string name : {"c0.", "c1.", "c2.", "c3.", "c4."}) {
    SCOPED_TRACE(name);
    const auto x = golden.f32(name + "x");
    const auto& shape = golden.shape(name + "x");
    const auto cos = golden.f32(name + "cos64");
    const auto sin = golden.f32(name + "sin64");
    std::vector<float> table;
    for (size_t i = 0; i < cos.size(); ++i) table.insert(table.end(), {cos[i], sin[i]});
    test::for_each_version(rope_versions(), [&](const Version<Rope>& version) {
      std::vector<float> y(x.begin(), x.end());
      Rope op{.x = y.data(),
              .T = shape[0],
              .H = shape[1],
              .D = shape[2],
              .t_stride = shape[1] * shape[2],
              .rope_dim = shape[2],
              .cos_sin = table.data(),
              .inverse = false,
              .layout = RopeLayout::kHalvesFirst};
      version.run(cpu, op);
      EXPECT_TRUE(within(y, golden.f32(name + "half_split"), {.rtol = 1e-6, .atol = 1e-6}));
      op.inverse = true;
      version.run(cpu, op);
      EXPECT_TRUE(within(y, x, {.rtol = 1e-6, .atol = 2e-6}));
    });
  }
}

TEST(Rope, halves_are_the_first_channels_and_the_others_stay) {
  // deepseek-v3.md, 14.2: frequencies 1 and 0.01, position 2.
  const std::vector<float> table = table_of({1.0f, 0.01f}, {2});
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(rope_versions(), [&](const Version<Rope>& version) {
    std::vector<float> x = {1, 2, 3, 4, 7, 8, 9, 10};
    version.run(cpu, {.x = x.data(),
                      .T = 1,
                      .H = 1,
                      .D = 8,
                      .t_stride = 8,
                      .rope_dim = 4,
                      .cos_sin = table.data(),
                      .inverse = false,
                      .layout = RopeLayout::kHalvesFirst});
    EXPECT_TRUE(
        within(x, std::vector<float>{-3.144039f, 1.919605f, -0.339143f, 4.039197f, 7, 8, 9, 10}, {.atol = 2e-6}));
  });
}

TEST(Rope, agrees_with_the_goldens_both_ways) {
  const GoldenFile golden("layers/rope.safetensors");
  CpuDevice cpu({.n_threads = 1});
  for (const std::string name : {"c0.", "c1.", "c2.", "c3.", "c4."}) {
    SCOPED_TRACE(name);
    const auto x = golden.f32(name + "x");
    const auto& shape = golden.shape(name + "x");
    // The goldens rotate by exact angles.
    const auto cos = golden.f32(name + "cos64");
    const auto sin = golden.f32(name + "sin64");
    std::vector<float> table;
    for (size_t i = 0; i < cos.size(); ++i) table.insert(table.end(), {cos[i], sin[i]});
    test::for_each_version(rope_versions(), [&](const Version<Rope>& version) {
      for (const bool inverse : {false, true}) {
        std::vector<float> y(x.begin(), x.end());
        version.run(cpu, {.x = y.data(),
                          .T = shape[0],
                          .H = shape[1],
                          .D = shape[2],
                          .t_stride = shape[1] * shape[2],
                          .rope_dim = shape[2],
                          .cos_sin = table.data(),
                          .inverse = inverse});
        // Values of size 3: three roundings, of the table, a product and the sum.
        EXPECT_TRUE(within(y, golden.f32(name + (inverse ? "interleaved_inverse" : "interleaved")),
                           {.rtol = 1e-6, .atol = 1e-6}));
      }
    });
  }
}

RC_GTEST_PROP(Rope, every_version_rotates_random_shapes, ()) {
  const int64_t D = 8 * *rc::gen::inRange<int64_t>(1, 20);
  const int64_t rope_dim = 2 * *rc::gen::inRange<int64_t>(1, D / 2 + 1);
  const Problem problem(*rc::gen::inRange<int64_t>(0, 4), *rc::gen::inRange<int64_t>(1, 5), D, rope_dim,
                        *rc::gen::arbitrary<bool>(), *rc::gen::inRange<int64_t>(0, 1 << 20),
                        *rc::gen::inRange<uint64_t>(0, 1u << 31));
  test::for_each_version(rope_versions(), [&](const Version<Rope>& version) {
    const auto result = is_rotation(problem, version);
    if (!result) RC_FAIL(std::string(result.message()));
  });
}

TEST(Rope, every_version_rotates_the_shapes_of_v4_at_the_end_of_the_context) {
  // Queries of Flash and Pro, the one KV head, and the heads of the indexer.
  for (const Problem& problem : {Problem(4, 64, 512, 64, false, 1'048'572, 1), Problem(2, 128, 512, 64, true, 65535, 2),
                                 Problem(5, 1, 512, 64, false, 0, 3), Problem(3, 64, 128, 64, false, 524'288, 4)}) {
    test::for_each_version(rope_versions(), [&](const Version<Rope>& v) { EXPECT_TRUE(is_rotation(problem, v)); });
    test::expect_vector_versions_agree_to_the_bit(rope_versions(), problem);
  }
}

TEST(Rope, a_token_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  test::expect_rows_do_not_depend_on_company(rope_versions(), Problem(40, 64, 512, 64, false, 100'000, 5));
  test::expect_rows_do_not_depend_on_company(rope_versions(), Problem(7, 3, 88, 70, true, 0, 6));
}

TEST(Rope, nan_stays_in_its_pair) {
  Problem problem(2, 2, 64, 32, false, 10, 7);
  problem.x[64 + 32 + 4] = std::numeric_limits<float>::quiet_NaN();
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(rope_versions(), [&](const Version<Rope>& version) {
    const std::vector<float> y = problem.run(version.run, cpu, 0, 2);
    EXPECT_TRUE(std::isnan(y[64 + 32 + 4]) && std::isnan(y[64 + 32 + 5]));
    EXPECT_EQ(std::count_if(y.begin(), y.end(), [](float v) { return std::isnan(v); }), 2);
  });
}

}  // namespace
}  // namespace hadal::ops
