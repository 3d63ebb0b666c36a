#include "ops/engram_gate/engram_gate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "testing/golden.h"
#include "testing/ops.h"

namespace hadal::ops {
namespace {

using test::random_floats;

struct Problem {
  int64_t T, n, C;
  std::vector<float> x, key_value, q_weight, k_weight;

  Problem(int64_t tokens, int64_t streams, int64_t channels)
      : T(tokens),
        n(streams),
        C(channels),
        x(random_floats(1, T * n * C, 2)),
        key_value(random_floats(2, T * (n + 1) * C, 2)),
        q_weight(random_floats(3, n * C)),
        k_weight(random_floats(4, n * C)) {}

  std::vector<float> run(void (*version)(CpuDevice&, const EngramGate&), CpuDevice& cpu, int64_t first,
                         int64_t count) const {
    std::vector<float> y(x.begin() + first * n * C, x.begin() + (first + count) * n * C);
    version(cpu, {.x = y.data(),
                  .key_value = key_value.data() + first * (n + 1) * C,
                  .q_weight = q_weight.data(),
                  .k_weight = k_weight.data(),
                  .T = count,
                  .n = n,
                  .C = C,
                  .eps = 1e-20f});
    return y;
  }
};

// One stream of 8 channels whose dot is known: x and key of ones have rms 1, and sum q k / sqrt(8) = dot.
float gate_of_dot(float dot) {
  std::vector<float> x(8, 1.0f);
  std::vector<float> key_value(16, 1.0f);
  const std::vector<float> q(8, dot / std::sqrt(8.0f));
  const std::vector<float> k(8, 1.0f);
  CpuDevice cpu({.n_threads = 1});
  engram_gate_reference(cpu, {.x = x.data(),
                              .key_value = key_value.data(),
                              .q_weight = q.data(),
                              .k_weight = k.data(),
                              .T = 1,
                              .n = 1,
                              .C = 8,
                              .eps = 1e-20f});
  return x[0] - 1.0f;
}

TEST(EngramGate, reference_gives_the_worked_examples_of_the_specification) {
  // deepseek-v41.md, section 13. Within the last bits of 1 + gate.
  EXPECT_NEAR(gate_of_dot(0.25f), 0.6224593f, 3e-7);
  EXPECT_NEAR(gate_of_dot(-0.25f), 0.3775407f, 3e-7);
  EXPECT_NEAR(gate_of_dot(0.0f), 0.50025f, 3e-7);
  EXPECT_NEAR(gate_of_dot(-1e-9f), 0.49975f, 3e-7);
  EXPECT_NEAR(gate_of_dot(1e-9f), 0.50025f, 3e-7);
  EXPECT_NEAR(gate_of_dot(4.0f), 0.8807971f, 3e-7);
}

TEST(EngramGate, reference_agrees_with_the_goldens) {
  const test::GoldenFile golden("layers/engram.safetensors");
  const std::vector<int64_t>& shape = golden.shape("v41.h");
  const int64_t T = shape[0], n = shape[1], C = shape[2];
  const std::span<const float> h = golden.f32("v41.h");
  const std::span<const float> rows = golden.f32("v41.rows");
  const std::span<const float> wkv = golden.f32("v41.wkv");
  const int64_t width = golden.shape("v41.rows")[1];
  std::vector<float> key_value(static_cast<size_t>(T * (n + 1) * C));
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t o = 0; o < (n + 1) * C; ++o) {
      double sum = 0;
      for (int64_t i = 0; i < width; ++i) {
        sum += static_cast<double>(wkv[static_cast<size_t>(o * width + i)]) *
               static_cast<double>(rows[static_cast<size_t>(t * width + i)]);
      }
      key_value[static_cast<size_t>(t * (n + 1) * C + o)] = static_cast<float>(sum);
    }
  }
  CpuDevice cpu({.n_threads = 1});
  test::for_each_version(engram_gate_versions(), [&](const Version<EngramGate>& version) {
    std::vector<float> x(h.begin(), h.end());
    version.run(cpu, {.x = x.data(),
                      .key_value = key_value.data(),
                      .q_weight = golden.f32("v41.q_weight").data(),
                      .k_weight = golden.f32("v41.k_weight").data(),
                      .T = T,
                      .n = n,
                      .C = C,
                      .eps = 1e-20f});
    // The goldens are float64 rounded; gates are within 1e-5 (the contract), values about 3.
    EXPECT_TRUE(test::within(x, golden.f32("v41.out"), {.rtol = 1e-5, .atol = 3e-5}));
  });
}

TEST(EngramGate, every_version_agrees_with_the_reference) {
  for (const Problem& p : {Problem(3, 4, 5120), Problem(5, 1, 24), Problem(2, 8, 8), Problem(0, 4, 64)}) {
    CpuDevice cpu({.n_threads = 1});
    const std::vector<float> want = p.run(engram_gate_reference, cpu, 0, p.T);
    test::for_each_version(engram_gate_versions(), [&](const Version<EngramGate>& version) {
      // A gate within 1e-5 times a value of at most about 8.
      EXPECT_TRUE(test::within(p.run(version.run, cpu, 0, p.T), want, {.rtol = 1e-6, .atol = 8e-5}));
    });
    test::expect_vector_versions_agree_to_the_bit(engram_gate_versions(), p);
  }
}

TEST(EngramGate, a_token_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  test::expect_rows_do_not_depend_on_company(engram_gate_versions(), Problem(9, 4, 1024));
}

TEST(EngramGate, zeros_leave_the_streams_and_nan_stays_in_its_token) {
  CpuDevice cpu({.n_threads = 2});
  Problem p(2, 4, 32);
  std::fill(p.x.begin(), p.x.begin() + 4 * 32, 0.0f);
  p.x[4 * 32 + 5] = std::numeric_limits<float>::quiet_NaN();
  test::for_each_version(engram_gate_versions(), [&](const Version<EngramGate>& version) {
    const std::vector<float> got = p.run(version.run, cpu, 0, 2);
    for (size_t i = 0; i < 4 * 32; ++i) EXPECT_TRUE(std::isfinite(got[i])) << i;
    EXPECT_TRUE(std::isnan(got[4 * 32 + 5]));
  });
}

}  // namespace
}  // namespace hadal::ops
