// Random stored matrices for tests and benchmarks, with the memory behind them.
#pragma once

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "base/blocks/block_codec.h"
#include "base/dtype.h"
#include "device/tensor.h"

namespace hadal::test {

struct StoredMatrix {
  std::vector<std::byte> data;
  std::vector<std::byte> scales;
  Weight weight;

  // Values of about unit size; scales vary by block.
  static StoredMatrix random(std::mt19937& random, DType dtype, int64_t rows, int64_t cols) {
    StoredMatrix m(dtype, rows, cols);
    std::normal_distribution<float> normal;
    if (is_block_type(dtype)) {
      // Rows differ in size, so that scales do.
      std::vector<float> row(static_cast<size_t>(cols));
      for (int64_t r = 0; r < rows; ++r) {
        for (float& v : row) v = normal(random) * (r % 3 == 0 ? 0.25f : 1.0f);
        encode_values(dtype, row.data(), nullptr, cols, m.data.data() + r * m.weight.row_bytes());
      }
      return m;
    }
    std::uniform_int_distribution<int> byte(0, 255);
    const int64_t n = rows * cols;
    for (int64_t i = 0; i < n; ++i) {
      const float v = normal(random);
      switch (dtype) {
        case DType::kF32:
          m.put(i, v);
          break;
        case DType::kF16:
          m.put(i, f32_to_f16(v));
          break;
        case DType::kBF16:
          m.put(i, f32_to_bf16(v));
          break;
        case DType::kF8E4M3:
          m.put(i, f32_to_e4m3(v));
          break;
        default:
          if (i % 2 == 0) m.put(i / 2, static_cast<uint8_t>(byte(random)));
      }
    }
    for (std::byte& s : m.scales) s = static_cast<std::byte>(124 + byte(random) % 5);
    return m;
  }

  // One row with every code of an 8- or 4-bit type (FP4: four times over), one scale.
  static StoredMatrix all_codes(DType dtype, int64_t cols, uint8_t scale) {
    StoredMatrix m(dtype, 1, cols);
    for (int64_t i = 0; i < cols; ++i) {
      if (dtype == DType::kF8E4M3) {
        // NaN codes would poison the sums of the other columns.
        const bool is_nan = (i & 0x7F) == 0x7F;
        m.put(i, static_cast<uint8_t>(is_nan ? 0 : i));
      } else if (i % 2 == 0) {
        m.put(i / 2, static_cast<uint8_t>((i & 15) | ((i + 1) & 15) << 4));
      }
    }
    std::fill(m.scales.begin(), m.scales.end(), static_cast<std::byte>(scale));
    return m;
  }

  StoredMatrix(StoredMatrix&&) = default;

 private:
  StoredMatrix(DType dtype, int64_t rows, int64_t cols) {
    weight = {.dtype = dtype, .rows = rows, .cols = cols};
    data.resize(static_cast<size_t>(rows * weight.row_bytes()));
    weight.data = data.data();
    if (dtype == DType::kF8E4M3 || dtype == DType::kF4E2M1) {
      weight.scale_rows = dtype == DType::kF8E4M3 ? 128 : 1;
      weight.scale_cols = dtype == DType::kF8E4M3 ? 128 : 32;
      const int64_t blocks =
          (rows + weight.scale_rows - 1) / weight.scale_rows * ((cols + weight.scale_cols - 1) / weight.scale_cols);
      scales.resize(static_cast<size_t>(blocks));
      weight.scale = scales.data();
    }
  }

  template <class T>
  void put(int64_t index, T value) {
    std::memcpy(data.data() + index * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
  }
};

}  // namespace hadal::test
