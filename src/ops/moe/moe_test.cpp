// moe: every version against the reference, and the equalities of the contract. The activation's goldens are in
// swiglu_test.cpp.

#include "ops/moe/moe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "testing/compare.h"
#include "testing/weights.h"

namespace hadal::ops {
namespace {

using test::StoredMatrix;

// E routed experts and a shared one, tokens with random choices.
struct Problem {
  int64_t T, E, K, C, I;
  std::vector<StoredMatrix> memory;
  std::vector<ExpertWeights> routed;
  ExpertWeights shared;
  std::vector<float> x;
  std::vector<int32_t> experts;
  std::vector<float> weights;

  Problem(uint32_t seed, DType routed_dtype, DType shared_dtype, int64_t T_, int64_t E_, int64_t K_, int64_t C_,
          int64_t I_)
      : T(T_), E(E_), K(K_), C(C_), I(I_) {
    std::mt19937 random(seed);
    const auto expert = [&](DType dtype) {
      const auto matrix = [&](int64_t rows, int64_t cols) {
        memory.push_back(StoredMatrix::random(random, dtype, rows, cols));
        return memory.back().weight;
      };
      return ExpertWeights{matrix(I, C), matrix(I, C), matrix(C, I)};
    };
    for (int64_t e = 0; e < E; ++e) routed.push_back(expert(routed_dtype));
    shared = expert(shared_dtype);
    std::normal_distribution<float> normal(0, 0.1f);
    for (int64_t i = 0; i < T * C; ++i) x.push_back(normal(random));
    std::vector<int32_t> all(static_cast<size_t>(E));
    for (int64_t t = 0; t < T; ++t) {
      std::iota(all.begin(), all.end(), 0);
      std::shuffle(all.begin(), all.end(), random);
      std::sort(all.begin(), all.begin() + K);
      experts.insert(experts.end(), all.begin(), all.begin() + K);
      for (int64_t i = 0; i < K; ++i) weights.push_back(0.1f + static_cast<float>(i) * 0.2f);
    }
  }

  // y of the tokens [begin, end).
  std::vector<float> run(CpuLevel level, int n_threads, ActivationRounding rounding, int64_t begin, int64_t end) const {
    CpuDevice cpu({.n_threads = n_threads, .level = level});
    const int64_t n = end - begin;
    const auto pack = [&](ActivationRounding r, std::vector<std::byte>& bytes) {
      bytes.resize(static_cast<size_t>(packed_rows_bytes(n, 1, C, row_format(r))));
      const PackedRows rows{.format = row_format(r), .T = n, .groups = 1, .K = C, .data = bytes.data()};
      pack_rows(cpu, {.x = x.data() + begin * C, .x_stride = C, .rounding = r, .out = rows});
      return rows;
    };
    // 8-bit activations are for FP4; the shared expert takes BF16 then, as in the fast mode.
    const ActivationRounding shared_rounding = is_block_type(shared.w1.dtype)          ? rounding
                                               : rounding == ActivationRounding::kInt8 ? ActivationRounding::kBf16
                                                                                       : rounding;
    std::vector<std::byte> packed;
    std::vector<std::byte> shared_packed;
    const PackedRows rows = pack(rounding, packed);
    const PackedRows shared_rows = pack(shared_rounding, shared_packed);
    std::vector<std::byte> scratch(static_cast<size_t>(moe_scratch_bytes(n, K, I)));
    std::vector<float> y(static_cast<size_t>(n * C), NAN);
    moe(cpu, {.x = rows,
              .shared_x = shared_rows,
              .experts = experts.data() + begin * K,
              .weights = weights.data() + begin * K,
              .routed = routed,
              .shared = &shared,
              .T = n,
              .K = K,
              .C = C,
              .I = I,
              .swiglu_limit = 1.5f,
              .hidden_rounding = rounding,
              .shared_hidden_rounding = shared_rounding,
              .y = y.data(),
              .scratch = scratch.data()});
    return y;
  }
};

const CpuLevel kFastLevels[] = {CpuLevel::kAvx2, CpuLevel::kAvx512};
const ActivationRounding kRoundings[] = {ActivationRounding::kNone, ActivationRounding::kBf16,
                                         ActivationRounding::kE4m3, ActivationRounding::kInt8};

TEST(Moe, every_version_agrees_with_the_reference) {
  const Problem problems[] = {{1, DType::kF4E2M1, DType::kF8E4M3, 9, 8, 3, 128, 96},
                              {2, DType::kBF16, DType::kBF16, 5, 6, 2, 64, 32},
                              {3, DType::kF4E2M1, DType::kF8E4M3, 1, 24, 6, 256, 128}};
  for (const Problem& p : problems) {
    for (const ActivationRounding rounding : {ActivationRounding::kNone, ActivationRounding::kE4m3}) {
      const std::vector<float> want = p.run(CpuLevel::kPortable, 2, rounding, 0, p.T);
      for (const CpuLevel level : kFastLevels) {
        // Sums of some hundred terms of size 1 to 10 in float: 2^-24 * 10 * sqrt(900) with room; a flipped E4M3 code of
        // h would be 6 % of one term.
        const double atol = rounding == ActivationRounding::kE4m3 ? 2e-2 : 1e-4;
        EXPECT_TRUE(test::within(p.run(level, 2, rounding, 0, p.T), want, {.rtol = 1e-5, .atol = atol}))
            << cpu_level_name(level);
      }
    }
  }
}

TEST(Moe, a_token_gives_the_same_bits_alone_and_among_others_and_with_any_threads) {
  const Problem p(4, DType::kF4E2M1, DType::kF8E4M3, 12, 8, 3, 192, 96);
  for (const CpuLevel level : kFastLevels) {
    for (const ActivationRounding rounding : kRoundings) {
      const std::vector<float> all = p.run(level, 1, rounding, 0, p.T);
      EXPECT_TRUE(test::same_bits(p.run(level, 3, rounding, 0, p.T), all));
      for (int64_t t = 0; t < p.T; ++t) {
        const std::vector<float> among(all.begin() + t * p.C, all.begin() + (t + 1) * p.C);
        ASSERT_TRUE(test::same_bits(p.run(level, 2, rounding, t, t + 1), among)) << "token " << t;
      }
    }
  }
}

// The mix of ds4: gate and up in one type, down in another; the shared expert in a third.
TEST(Moe, block_types_of_several_kinds_agree_with_the_reference_and_do_not_depend_on_company) {
  for (const DType dtype : {DType::kQ4K, DType::kMXFP4, DType::kIQ2XXS}) {
    Problem p(6, dtype, DType::kQ8_0, 9, 8, 3, 512, 256);
    const Problem downs(7, DType::kQ2K, DType::kQ8_0, 9, 8, 3, 512, 256);
    for (size_t e = 0; e < p.routed.size(); ++e) p.routed[e].w2 = downs.routed[e].w2;
    const std::vector<float> want = p.run(CpuLevel::kPortable, 2, ActivationRounding::kInt8Lanes, 0, p.T);
    for (const CpuLevel level : kFastLevels) {
      const std::vector<float> all = p.run(level, 1, ActivationRounding::kInt8Lanes, 0, p.T);
      // A code of h that is rounded the other way moves one term of some hundred by 1 / 127 of the largest.
      EXPECT_TRUE(test::within(all, want, {.rtol = 1e-3, .atol = 0.2})) << dtype_name(dtype);
      EXPECT_TRUE(test::same_bits(p.run(level, 3, ActivationRounding::kInt8Lanes, 0, p.T), all));
      for (int64_t t = 0; t < p.T; ++t) {
        const std::vector<float> among(all.begin() + t * p.C, all.begin() + (t + 1) * p.C);
        ASSERT_TRUE(test::same_bits(p.run(level, 2, ActivationRounding::kInt8Lanes, t, t + 1), among)) << t;
      }
    }
  }
}

TEST(Moe, a_token_without_numbers_does_not_touch_its_neighbours) {
  Problem p(5, DType::kF4E2M1, DType::kF8E4M3, 4, 4, 2, 64, 32);
  const std::vector<float> before = p.run(detected_cpu_level(), 1, ActivationRounding::kBf16, 0, p.T);
  p.x[static_cast<size_t>(p.C)] = NAN;  // token 1
  const std::vector<float> after = p.run(detected_cpu_level(), 1, ActivationRounding::kBf16, 0, p.T);
  for (int64_t i = 0; i < p.T * p.C; ++i) {
    if (i / p.C == 1) continue;
    ASSERT_EQ(before[static_cast<size_t>(i)], after[static_cast<size_t>(i)]);
  }
  EXPECT_TRUE(std::isnan(after[static_cast<size_t>(p.C)]));
}

}  // namespace
}  // namespace hadal::ops
