// linear and pack_rows on a GPU: against the reference in V4-Flash's shapes, one token against many bit for bit.

#include "ops/linear/linear.h"
#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

using test::QuickMatrix;

class LinearCuda : public test::CudaTest {
 protected:
  // Tokens [begin, end) of x, packed and multiplied on the GPU.
  std::vector<float> run(const Weight& w, std::span<const float> x, int64_t groups, ActivationRounding rounding,
                         int64_t begin, int64_t end) {
    const int64_t T = end - begin;
    const int64_t width = groups * w.cols;
    const RowFormat format = row_format(rounding);
    const PackedRows packed = {.format = format,
                               .T = T,
                               .groups = groups,
                               .K = w.cols,
                               .data = memory().room<std::byte>(packed_rows_bytes(T, groups, w.cols, format))};
    const float* tokens = memory().put(x.subspan(static_cast<size_t>(begin * width), static_cast<size_t>(T * width)));
    pack_rows(gpu(), {.x = tokens, .x_stride = width, .rounding = rounding, .out = packed});
    float* y = memory().room<float>(T * w.rows);
    linear(gpu(), {.x = packed, .w = w, .y = y, .y_stride = w.rows});
    return memory().get(y, T * w.rows);
  }

  std::vector<float> run_reference(const Weight& w, std::span<const float> x, int64_t groups,
                                   ActivationRounding rounding, int64_t T) {
    const RowFormat format = row_format(rounding);
    std::vector<std::byte> memory(static_cast<size_t>(packed_rows_bytes(T, groups, w.cols, format)));
    const PackedRows packed = {.format = format, .T = T, .groups = groups, .K = w.cols, .data = memory.data()};
    pack_rows_reference(cpu(), {.x = x.data(), .x_stride = groups * w.cols, .rounding = rounding, .out = packed});
    std::vector<float> y(static_cast<size_t>(T * w.rows));
    linear_reference(cpu(), {.x = packed, .w = w, .y = y.data(), .y_stride = w.rows});
    return y;
  }
};

struct Shape {
  DType dtype;
  int64_t rows;
  int64_t cols;
  int64_t groups = 1;
};

// wq_a, wkv, wq_b, an expert's w1 and w2, the router, mHC's mixes, wo_a, odd ones.
constexpr Shape kShapes[] = {
    {DType::kF8E4M3, 1024, 4096},    {DType::kF8E4M3, 512, 4096},  {DType::kF8E4M3, 4096, 1024},
    {DType::kF8E4M3, 8192, 1024, 8}, {DType::kF4E2M1, 2048, 4096}, {DType::kF4E2M1, 4096, 2048},
    {DType::kBF16, 256, 4096},       {DType::kBF16, 2000, 4096},   {DType::kF32, 24, 16384},
    {DType::kF16, 192, 512},         {DType::kBF16, 72, 96},       {DType::kF4E2M1, 40, 160},
    {DType::kF8E4M3, 130, 200}};

TEST_F(LinearCuda, agrees_with_the_reference) {
  constexpr int64_t T = 3;
  for (const Shape& shape : kShapes) {
    const QuickMatrix matrix(1, shape.dtype, shape.rows, shape.cols);
    const Weight w = memory().put(matrix.weight);
    const std::vector<float> x = test::normal_floats(2, T * shape.groups * shape.cols);
    for (const ActivationRounding rounding :
         {ActivationRounding::kNone, ActivationRounding::kBf16, ActivationRounding::kE4m3}) {
      // Terms are of size 1: 2^-20 of their sum is 16 roundings of a float chain, and what tensor cores cut off.
      const double atol = 0x1p-20 * static_cast<double>(shape.cols);
      EXPECT_TRUE(test::within(run(w, x, shape.groups, rounding, 0, T),
                               run_reference(matrix.weight, x, shape.groups, rounding, T),
                               {.rtol = 1e-5, .atol = atol}))
          << dtype_name(shape.dtype) << " " << shape.rows << " x " << shape.cols << ", rounding "
          << static_cast<int>(rounding);
    }
  }
}

TEST_F(LinearCuda, a_token_gives_the_same_bits_alone_and_among_others) {
  constexpr int64_t T = 70;
  for (const Shape& shape : kShapes) {
    const QuickMatrix matrix(3, shape.dtype, shape.rows, shape.cols);
    const Weight w = memory().put(matrix.weight);
    const std::vector<float> x = test::normal_floats(4, T * shape.groups * shape.cols);
    for (const ActivationRounding rounding : {ActivationRounding::kNone, ActivationRounding::kBf16}) {
      const std::vector<float> all = run(w, x, shape.groups, rounding, 0, T);
      for (const int64_t n : {1, 2, 7, 8, 12, 16, 17, 32, 33, 64}) {
        // The batch's last tokens, so that a token stands elsewhere in its tile.
        const std::vector<float> part = run(w, x, shape.groups, rounding, T - n, T);
        const std::span<const float> want(all.data() + (T - n) * shape.rows, part.size());
        ASSERT_TRUE(test::same_bits(part, want)) << dtype_name(shape.dtype) << " " << shape.rows << " x " << shape.cols
                                                 << ", " << n << " tokens, rounding " << static_cast<int>(rounding);
      }
    }
  }
}

// Rows enough for tiles of 128 tokens (block_tile.cuh), the last of them half empty; 3 and 9 units for 8 parts.
TEST_F(LinearCuda, a_token_gives_the_same_bits_in_large_tiles) {
  constexpr int64_t T = 300;
  constexpr Shape kLarge[] = {{DType::kBF16, 17'000, 384},     {DType::kBF16, 17'000, 1152},
                              {DType::kF8E4M3, 17'000, 384},   {DType::kF8E4M3, 17'000, 1152},
                              {DType::kF4E2M1, 17'000, 384},   {DType::kF4E2M1, 17'000, 1152},
                              {DType::kF8E4M3, 16'384, 256, 8}};
  for (const Shape& shape : kLarge) {
    const QuickMatrix matrix(6, shape.dtype, shape.rows, shape.cols);
    const Weight w = memory().put(matrix.weight);
    const std::vector<float> x = test::normal_floats(7, T * shape.groups * shape.cols);
    const std::vector<float> all = run(w, x, shape.groups, ActivationRounding::kBf16, 0, T);
    for (const auto& [begin, n] : {std::pair<int64_t, int64_t>{0, 1}, {127, 8}, {T - 60, 60}}) {
      const std::vector<float> part = run(w, x, shape.groups, ActivationRounding::kBf16, begin, begin + n);
      const std::span<const float> want(all.data() + begin * shape.rows, part.size());
      ASSERT_TRUE(test::same_bits(part, want)) << dtype_name(shape.dtype) << " x " << shape.cols << ", " << n;
    }
  }
}

TEST_F(LinearCuda, every_code_and_many_scales_are_widened_exactly) {
  // One code a row, all columns the same: y = K x code scale, exact in float.
  for (const DType dtype : {DType::kF8E4M3, DType::kF4E2M1}) {
    constexpr int64_t K = 128;
    const int n_codes = dtype == DType::kF8E4M3 ? 256 : 16;
    for (const int scale : {60, 100, 127, 140, 158}) {
      QuickMatrix matrix(1, dtype, n_codes, K);
      const auto row_bytes = static_cast<size_t>(matrix.weight.row_bytes());
      for (size_t code = 0; code < static_cast<size_t>(n_codes); ++code) {
        const bool is_nan = dtype == DType::kF8E4M3 && (code & 0x7F) == 0x7F;
        const size_t stored = dtype == DType::kF8E4M3 ? (is_nan ? 0 : code) : code | code << 4;
        std::fill_n(matrix.data.begin() + static_cast<std::ptrdiff_t>(code * row_bytes), row_bytes,
                    static_cast<std::byte>(stored));
      }
      std::fill(matrix.scales.begin(), matrix.scales.end(), static_cast<std::byte>(scale));
      const Weight w = memory().put(matrix.weight);
      const std::vector<float> x(K, 1.0f);
      for (const ActivationRounding rounding : {ActivationRounding::kNone, ActivationRounding::kBf16}) {
        EXPECT_TRUE(test::within_ulp(run(w, x, 1, rounding, 0, 1), run_reference(matrix.weight, x, 1, rounding, 1), 0))
            << dtype_name(dtype) << ", scale " << scale << ", rounding " << static_cast<int>(rounding);
      }
    }
  }
}

TEST_F(LinearCuda, packing_gives_the_bits_of_the_reference) {
  constexpr int64_t T = 5;
  constexpr int64_t K = 200;
  std::vector<float> x = test::normal_floats(5, T * 2 * K, 30);
  x[3] = 1.00390625f;  // half way between two BF16 numbers
  x[4] = 0x1p-130f;
  x[5] = -0.0f;
  for (const ActivationRounding rounding :
       {ActivationRounding::kNone, ActivationRounding::kBf16, ActivationRounding::kE4m3}) {
    const RowFormat format = row_format(rounding);
    const int64_t bytes = packed_rows_bytes(T, 2, K, format);
    std::vector<std::byte> want(static_cast<size_t>(bytes));
    PackedRows out = {.format = format, .T = T, .groups = 2, .K = K, .data = want.data()};
    pack_rows_reference(cpu(), {.x = x.data(), .x_stride = 2 * K, .rounding = rounding, .out = out});
    out.data = memory().room<std::byte>(bytes);
    pack_rows(gpu(), {.x = memory().put(x), .x_stride = 2 * K, .rounding = rounding, .out = out});
    EXPECT_EQ(memory().get(out.data, bytes), want) << "rounding " << static_cast<int>(rounding);
  }
}

// More than a launch takes, and matrices of both engines among them.
TEST_F(LinearCuda, a_list_gives_the_bits_of_its_ops) {
  constexpr int64_t K = 4096;
  const std::pair<DType, int64_t> kMatrices[] = {{DType::kF8E4M3, 512},  {DType::kBF16, 64},  {DType::kF32, 24},
                                                 {DType::kF8E4M3, 1024}, {DType::kBF16, 200}, {DType::kBF16, 1024},
                                                 {DType::kF4E2M1, 40},   {DType::kBF16, 16},  {DType::kBF16, 1},
                                                 {DType::kF8E4M3, 16},   {DType::kBF16, 128}};
  std::vector<QuickMatrix> matrices;
  for (const auto& [dtype, rows] : kMatrices) matrices.emplace_back(static_cast<uint64_t>(rows), dtype, rows, K);
  for (const int64_t T : {1, 3, 12, 30, 70}) {
    const PackedRows packed = {.format = RowFormat::kBf16,
                               .T = T,
                               .groups = 1,
                               .K = K,
                               .data = memory().room<std::byte>(packed_rows_bytes(T, 1, K, RowFormat::kBf16))};
    pack_rows(gpu(), {.x = memory().put(test::normal_floats(1, T * K)),
                      .x_stride = K,
                      .rounding = ActivationRounding::kBf16,
                      .out = packed});
    std::vector<Linear> ops;
    std::vector<std::vector<float>> want;
    for (const QuickMatrix& matrix : matrices) {
      const Weight w = memory().put(matrix.weight);
      ops.push_back({.x = packed, .w = w, .y = memory().room<float>(T * w.rows), .y_stride = w.rows});
      linear(gpu(), ops.back());
      want.push_back(memory().get(ops.back().y, T * w.rows));
      ops.back().y = memory().room<float>(T * w.rows);
    }
    linear(gpu(), ops);
    for (size_t i = 0; i < ops.size(); ++i) {
      EXPECT_TRUE(test::same_bits(memory().get(ops[i].y, T * ops[i].w.rows), want[i])) << i << ", " << T << " tokens";
    }
  }
}

}  // namespace
}  // namespace hadal::ops
