#include <algorithm>
#include <cstring>
#include <vector>

#include "base/blocks/block_codec.h"
#include "ops/linear/int8_rows.h"
#include "ops/linear/linear.h"
#include "ops/linear/linear_kernels.h"

namespace hadal::ops {
namespace {

template <class T>
T load(const std::byte* data, int64_t index) {
  T value;
  std::memcpy(&value, data + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

float row_at(RowFormat format, const std::byte* row, int64_t k) {
  if (format == RowFormat::kInt8Lanes) {
    return int8_lane_value(reinterpret_cast<const Int8Lanes*>(row)[k / kLaneStep], k % kLaneStep);
  }
  if (format == RowFormat::kInt8) {
    return int8_value(reinterpret_cast<const Int8Block*>(row)[k / kInt8Block], k % kInt8Block);
  }
  return format == RowFormat::kF32 ? load<float>(row, k) : bf16_to_f32(load<uint16_t>(row, k));
}

}  // namespace

float weight_at(const Weight& w, int64_t row, int64_t col) {
  const int64_t index = row * w.cols + col;
  const auto scale = [&] {
    const int64_t block = row / w.scale_rows * w.scale_stride() + col / w.scale_cols;
    return w.scale_dtype == DType::kF32 ? load<float>(w.scale, block) : e8m0_to_f32(load<uint8_t>(w.scale, block));
  };
  switch (w.dtype) {
    case DType::kF32:
      return load<float>(w.data, index);
    case DType::kF16:
      return f16_to_f32(load<uint16_t>(w.data, index));
    case DType::kBF16:
      return bf16_to_f32(load<uint16_t>(w.data, index));
    case DType::kF8E4M3:
      return e4m3_to_f32(load<uint8_t>(w.data, index)) * scale();
    case DType::kF4E2M1: {
      const uint8_t pair = load<uint8_t>(w.data, index / 2);
      return e2m1_to_f32(index % 2 == 0 ? pair & 0xF : pair >> 4) * scale();
    }
    default:
      break;
  }
  HADAL_CHECK(is_block_type(w.dtype), "no matrix of this dtype", dtype_name(w.dtype));
  const BlockSize block = dtype_block(w.dtype);
  float values[kBlockValuesMax];
  decode_values(w.dtype, w.data + row * w.row_bytes() + col / block.values * block.bytes, block.values, values);
  return values[col % block.values];
}

void pack_rows_reference(CpuDevice&, const PackRows& op) {
  const PackedRows& out = op.out;
  for (int64_t t = 0; t < out.T; ++t) {
    for (int64_t g = 0; g < out.groups; ++g) {
      const float* x = op.x + t * op.x_stride + g * out.K;
      std::byte* row = out.row(t, g);
      std::memset(row, 0, static_cast<size_t>(out.row_bytes()));
      if (out.format == RowFormat::kInt8) {
        auto* blocks = reinterpret_cast<Int8Block*>(row);
        for (int64_t k = 0; k < out.K; k += kInt8Block) {
          pack_int8_block(x + k, std::min(kInt8Block, out.K - k), blocks[k / kInt8Block]);
        }
        continue;
      }
      if (out.format == RowFormat::kInt8Lanes) {
        auto* lanes = reinterpret_cast<Int8Lanes*>(row);
        for (int64_t k = 0; k < out.K; k += kLaneStep) {
          pack_int8_lanes(x + k, std::min(kLaneStep, out.K - k), lanes[k / kLaneStep]);
        }
        continue;
      }
      if (out.format == RowFormat::kBf16) {
        for (int64_t k = 0; k < out.K; ++k) {
          const uint16_t v = f32_to_bf16(x[k]);
          std::memcpy(row + 2 * k, &v, 2);
        }
        continue;
      }
      auto* v = reinterpret_cast<float*>(row);
      std::memcpy(v, x, static_cast<size_t>(out.K) * sizeof(float));
      if (op.rounding == ActivationRounding::kE4m3) fake_quantize_e4m3(v, static_cast<int>(out.K), 128);
      if (op.rounding == ActivationRounding::kE4m3By32) fake_quantize_e4m3(v, static_cast<int>(out.K), 32);
      if (op.rounding == ActivationRounding::kE4m3FloatScale) {
        fake_quantize_e4m3_float_scale(v, static_cast<int>(out.K), 128);
      }
    }
  }
}

void row_block_reference(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y, int64_t y_stride) {
  std::vector<float> row(static_cast<size_t>(x.K));
  for (int64_t r = 0; r < n; ++r) {
    if (is_block_type(w.dtype)) {
      decode_values(w.dtype, w.data + (row0 + r) * w.row_bytes(), x.K, row.data());
    } else {
      for (int64_t k = 0; k < x.K; ++k) row[static_cast<size_t>(k)] = weight_at(w, row0 + r, k);
    }
    for (int64_t t = 0; t < x.T; ++t) {
      double sum = 0;
      for (int64_t k = 0; k < x.K; ++k) {
        sum += static_cast<double>(row_at(x.format, x.rows[t], k)) * static_cast<double>(row[static_cast<size_t>(k)]);
      }
      y[t * y_stride + r] = static_cast<float>(sum);
    }
  }
}

void linear_reference(CpuDevice& cpu, const Linear& op) {
  const int64_t rows_per_group = op.w.rows / op.x.groups;
  cpu.pool().run(op.w.rows, [&](int64_t n) {
    for (int64_t t = 0; t < op.x.T; ++t) {
      const std::byte* row = op.x.row(t, n / rows_per_group);
      row_block_reference(op.w, n, 1, {.format = op.x.format, .K = op.x.K, .rows = &row, .T = 1},
                          op.y + t * op.y_stride + n, op.y_stride);
    }
  });
}

}  // namespace hadal::ops
