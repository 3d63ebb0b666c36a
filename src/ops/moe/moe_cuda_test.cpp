// moe on a GPU: against the CPU in V4-Flash's shapes, one token against many bit for bit.

#include <numeric>

#include "ops/moe/moe.h"
#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

using test::QuickMatrix;

class MoeCuda : public test::CudaTest {
 protected:
  struct Problem {
    int64_t T, E, K, C, I;
    std::vector<QuickMatrix> matrices;
    std::vector<ExpertWeights> routed;
    ExpertWeights shared;
    std::vector<float> x;
    std::vector<int32_t> experts;
    std::vector<float> weights;

    Problem(DType routed_dtype, DType shared_dtype, int64_t T_, int64_t E_, int64_t K_, int64_t C_, int64_t I_)
        : T(T_), E(E_), K(K_), C(C_), I(I_), x(test::normal_floats(1, T_ * C_)) {
      const auto expert = [&](DType dtype) {
        const auto matrix = [&](int64_t rows, int64_t cols) {
          matrices.emplace_back(matrices.size(), dtype, rows, cols);
          return matrices.back().weight;
        };
        return ExpertWeights{matrix(I, C), matrix(I, C), matrix(C, I)};
      };
      for (int64_t e = 0; e < E; ++e) routed.push_back(expert(routed_dtype));
      shared = expert(shared_dtype);
      std::mt19937 random(2);
      std::vector<int32_t> all(static_cast<size_t>(E));
      for (int64_t t = 0; t < T; ++t) {
        std::iota(all.begin(), all.end(), 0);
        std::shuffle(all.begin(), all.end(), random);
        std::sort(all.begin(), all.begin() + K);
        experts.insert(experts.end(), all.begin(), all.begin() + K);
        for (int64_t i = 0; i < K; ++i) weights.push_back(0.1f + static_cast<float>(i) * 0.2f);
      }
    }
  };

  // The descriptors of a problem's experts with their matrices on the GPU.
  struct OnGpu {
    std::vector<ExpertWeights> routed;
    const ExpertWeights* routed_on_gpu;
    ExpertWeights shared;
  };
  OnGpu put(const Problem& p) {
    const auto expert = [&](const ExpertWeights& e) {
      return ExpertWeights{memory().put(e.w1), memory().put(e.w3), memory().put(e.w2)};
    };
    OnGpu on;
    for (const ExpertWeights& e : p.routed) on.routed.push_back(expert(e));
    on.routed_on_gpu = memory().put(on.routed);
    on.shared = expert(p.shared);
    return on;
  }

  // Outputs of tokens [begin, end) on the GPU.
  std::vector<float> run(const Problem& p, const OnGpu& on, ActivationRounding rounding, int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    const RowFormat format = row_format(rounding);
    const PackedRows rows = {.format = format,
                             .T = n,
                             .groups = 1,
                             .K = p.C,
                             .data = memory().room<std::byte>(packed_rows_bytes(n, 1, p.C, format))};
    const auto slice = [&](const auto& values, int64_t width) {
      return memory().put(
          std::span(values).subspan(static_cast<size_t>(begin * width), static_cast<size_t>(n * width)));
    };
    pack_rows(gpu(), {.x = slice(p.x, p.C), .x_stride = p.C, .rounding = rounding, .out = rows});
    float* y = memory().room<float>(n * p.C);
    moe(gpu(), {.x = rows,
                .shared_x = rows,
                .experts = slice(p.experts, p.K),
                .weights = slice(p.weights, p.K),
                .routed = on.routed,
                .routed_on_gpu = on.routed_on_gpu,
                .shared = &on.shared,
                .T = n,
                .K = p.K,
                .C = p.C,
                .I = p.I,
                .swiglu_limit = 10,
                .hidden_rounding = rounding,
                .shared_hidden_rounding = rounding,
                .y = y,
                .scratch = memory().room<std::byte>(moe_gpu_scratch_bytes(n, p.E, p.K, p.C, p.I))});
    return memory().get(y, n * p.C);
  }

  std::vector<float> run_on_cpu(const Problem& p, ActivationRounding rounding) {
    const RowFormat format = row_format(rounding);
    std::vector<std::byte> packed(static_cast<size_t>(packed_rows_bytes(p.T, 1, p.C, format)));
    const PackedRows rows = {.format = format, .T = p.T, .groups = 1, .K = p.C, .data = packed.data()};
    pack_rows(cpu(), {.x = p.x.data(), .x_stride = p.C, .rounding = rounding, .out = rows});
    std::vector<std::byte> scratch(static_cast<size_t>(moe_scratch_bytes(p.T, p.K, p.I)));
    std::vector<float> y(static_cast<size_t>(p.T * p.C));
    moe(cpu(), {.x = rows,
                .shared_x = rows,
                .experts = p.experts.data(),
                .weights = p.weights.data(),
                .routed = p.routed,
                .shared = &p.shared,
                .T = p.T,
                .K = p.K,
                .C = p.C,
                .I = p.I,
                .swiglu_limit = 10,
                .hidden_rounding = rounding,
                .shared_hidden_rounding = rounding,
                .y = y.data(),
                .scratch = scratch.data()});
    return y;
  }
};

constexpr ActivationRounding kRoundings[] = {ActivationRounding::kNone, ActivationRounding::kBf16,
                                             ActivationRounding::kE4m3};

TEST_F(MoeCuda, agrees_with_the_cpu) {
  const Problem problems[] = {{DType::kF4E2M1, DType::kF8E4M3, 3, 12, 6, 4096, 2048},
                              {DType::kBF16, DType::kBF16, 40, 8, 2, 256, 128},
                              {DType::kF8E4M3, DType::kF8E4M3, 1, 24, 8, 512, 256},
                              {DType::kF4E2M1, DType::kF8E4M3, 5, 6, 2, 96, 64}};
  for (const Problem& p : problems) {
    const OnGpu on = put(p);
    for (const ActivationRounding rounding : kRoundings) {
      const std::vector<float> want = run_on_cpu(p, rounding);
      double square = 0;
      for (const float v : want) square += static_cast<double>(v) * static_cast<double>(v);
      const double size = std::sqrt(square / static_cast<double>(want.size()));
      // Float chains of some thousand terms in another order; a rounding of h that tips to the other side is 2^-8
      // (BF16) or 2^-4 (E4M3) of one of thousands of terms.
      const double atol = size * (rounding == ActivationRounding::kNone ? 2e-5 : 5e-3);
      EXPECT_TRUE(test::within(run(p, on, rounding, 0, p.T), want, {.rtol = 1e-5, .atol = atol}))
          << "C " << p.C << ", rounding " << static_cast<int>(rounding);
    }
  }
}

TEST_F(MoeCuda, a_token_gives_the_same_bits_alone_and_among_others) {
  const Problem problems[] = {{DType::kF4E2M1, DType::kF8E4M3, 150, 10, 6, 512, 256},
                              {DType::kF4E2M1, DType::kF8E4M3, 12, 40, 6, 1024, 384}};
  for (const Problem& p : problems) {
    const OnGpu on = put(p);
    for (const ActivationRounding rounding : kRoundings) {
      const std::vector<float> all = run(p, on, rounding, 0, p.T);
      for (const int64_t n : {1, 2, 3, 8, 11}) {
        const std::vector<float> part = run(p, on, rounding, p.T - n, p.T);
        const std::span<const float> want(all.data() + (p.T - n) * p.C, part.size());
        ASSERT_TRUE(test::same_bits(part, want)) << n << " tokens, rounding " << static_cast<int>(rounding);
      }
      EXPECT_TRUE(test::same_bits(run(p, on, rounding, 0, p.T), all)) << "again";
    }
  }
}

}  // namespace
}  // namespace hadal::ops
