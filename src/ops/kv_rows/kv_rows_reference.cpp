#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/dtype.h"
#include "ops/kv_rows/kv_rows.h"
#include "ops/kv_rows/kv_rows_kernels.h"

namespace hadal::ops {
namespace {

// Sylvester order: butterflies of distance 1, 2, 4, ..., then the scale.
void hadamard(float* x, int64_t D) {
  for (int64_t step = 1; step < D; step *= 2) {
    for (int64_t i = 0; i < D; i += 2 * step) {
      for (int64_t j = i; j < i + step; ++j) {
        const float a = x[j];
        const float b = x[j + step];
        x[j] = a + b;
        x[j + step] = a - b;
      }
    }
  }
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(D)));
  for (int64_t i = 0; i < D; ++i) x[i] *= scale;
}

void store_bf16(const float* x, int64_t n, std::byte* out) {
  for (int64_t i = 0; i < n; ++i) {
    const uint16_t code = f32_to_bf16(x[i]);
    std::memcpy(out + 2 * i, &code, 2);
  }
}

void load_bf16(const std::byte* row, int64_t n, float* x) {
  for (int64_t i = 0; i < n; ++i) {
    uint16_t code;
    std::memcpy(&code, row + 2 * i, 2);
    x[i] = bf16_to_f32(code);
  }
}

}  // namespace

void round_row_reference(KvRounding rounding, float* x, int64_t D, int64_t rope_dim) {
  switch (rounding) {
    case KvRounding::kNone:
      return;
    case KvRounding::kE4m3:
      fake_quantize_e4m3(x, static_cast<int>(D - rope_dim), kFp8Block);
      return;
    case KvRounding::kHadamard:
      hadamard(x, D);
      return;
    case KvRounding::kHadamardE2m1:
      hadamard(x, D);
      fake_quantize_e2m1(x, static_cast<int>(D), kFp4Block);
      return;
    case KvRounding::kE4m3By128:
      fake_quantize_e4m3(x, static_cast<int>(D - rope_dim), kFp8WideBlock);
      return;
    case KvRounding::kHadamardE4m3:
      hadamard(x, D);
      fake_quantize_e4m3(x, static_cast<int>(D), kFp8WideBlock);
      return;
    case KvRounding::kE4m3By32:
      fake_quantize_e4m3(x, static_cast<int>(D), kFp8NarrowBlock);
      return;
    case KvRounding::kE2m1By16:
      fake_quantize_e2m1_e4m3_scale(x, static_cast<int>(D), kFp4NarrowBlock);
      return;
    case KvRounding::kE2m1By32:
      fake_quantize_e2m1(x, static_cast<int>(D), kFp4Block);
      return;
  }
}

void round_rows_reference(CpuDevice&, const RoundRows& op) {
  for (int64_t t = 0; t < op.T; ++t) round_row_reference(op.rounding, op.x + t * op.x_stride, op.D, op.rope_dim);
}

int64_t kv_row_bytes(KvFormat format, int64_t D, int64_t rope_dim) {
  switch (format) {
    case KvFormat::kF32:
      return 4 * D;
    case KvFormat::kBf16:
      return 2 * D;
    case KvFormat::kFp8: {
      const int64_t nope = D - rope_dim;
      return (nope + 2 * rope_dim + (nope + kFp8Block - 1) / kFp8Block + 7) / 8 * 8;
    }
    case KvFormat::kFp4:
      return D / 2 + D / kFp4Block;
    case KvFormat::kFp8By128: {
      const int64_t nope = D - rope_dim;
      return nope + 4 * ((nope + kFp8WideBlock - 1) / kFp8WideBlock) + 2 * rope_dim;
    }
  }
  return 0;
}

void encode_row(KvFormat format, const float* x, int64_t D, int64_t rope_dim, std::byte* out) {
  switch (format) {
    case KvFormat::kF32:
      std::memcpy(out, x, static_cast<size_t>(D) * 4);
      return;
    case KvFormat::kBf16:
      store_bf16(x, D, out);
      return;
    case KvFormat::kFp8: {
      const int64_t nope = D - rope_dim;
      store_bf16(x + nope, rope_dim, out + nope);
      std::byte* scales = out + nope + 2 * rope_dim;
      std::memset(scales, 0, static_cast<size_t>(kv_row_bytes(format, D, rope_dim) - nope - 2 * rope_dim));
      for (int64_t begin = 0; begin < nope; begin += kFp8Block) {
        const int64_t end = std::min(begin + kFp8Block, nope);
        const int e = e4m3_scale_exponent(x + begin, static_cast<int>(end - begin));
        scales[begin / kFp8Block] = static_cast<std::byte>(e + 127);
        for (int64_t i = begin; i < end; ++i) out[i] = static_cast<std::byte>(f32_to_e4m3(x[i] * exp2i(-e)));
      }
      return;
    }
    case KvFormat::kFp4: {
      std::byte* scales = out + D / 2;
      for (int64_t begin = 0; begin < D; begin += kFp4Block) {
        const int e = e2m1_scale_exponent(x + begin, kFp4Block);
        scales[begin / kFp4Block] = static_cast<std::byte>(e + 127);
        const float scale = exp2i(e);
        for (int64_t i = begin; i < begin + kFp4Block; i += 2) {
          out[i / 2] = static_cast<std::byte>(f32_to_e2m1(x[i] / scale) | f32_to_e2m1(x[i + 1] / scale) << 4);
        }
      }
      return;
    }
    case KvFormat::kFp8By128: {
      const int64_t nope = D - rope_dim;
      std::byte* scales = out + nope;
      for (int64_t begin = 0; begin < nope; begin += kFp8WideBlock, scales += sizeof(float)) {
        const int64_t end = std::min(begin + kFp8WideBlock, nope);
        const int e = e4m3_scale_exponent(x + begin, static_cast<int>(end - begin));
        const float scale = exp2i(e);
        std::memcpy(scales, &scale, sizeof scale);
        for (int64_t i = begin; i < end; ++i) out[i] = static_cast<std::byte>(f32_to_e4m3(x[i] * exp2i(-e)));
      }
      store_bf16(x + nope, rope_dim, scales);
      return;
    }
  }
}

void decode_row_reference(KvFormat format, const std::byte* row, int64_t D, int64_t rope_dim, float* x) {
  switch (format) {
    case KvFormat::kF32:
      std::memcpy(x, row, static_cast<size_t>(D) * 4);
      return;
    case KvFormat::kBf16:
      load_bf16(row, D, x);
      return;
    case KvFormat::kFp8: {
      const int64_t nope = D - rope_dim;
      load_bf16(row + nope, rope_dim, x + nope);
      const std::byte* scales = row + nope + 2 * rope_dim;
      for (int64_t i = 0; i < nope; ++i) {
        x[i] = e4m3_to_f32(static_cast<uint8_t>(row[i])) * e8m0_to_f32(static_cast<uint8_t>(scales[i / kFp8Block]));
      }
      return;
    }
    case KvFormat::kFp4: {
      const std::byte* scales = row + D / 2;
      for (int64_t i = 0; i < D; ++i) {
        const auto pair = static_cast<uint8_t>(row[i / 2]);
        const float v = e2m1_to_f32(i % 2 == 0 ? pair & 0xF : pair >> 4);
        x[i] = v * e8m0_to_f32(static_cast<uint8_t>(scales[i / kFp4Block]));
      }
      return;
    }
    case KvFormat::kFp8By128: {
      const int64_t nope = D - rope_dim;
      const std::byte* scales = row + nope;
      for (int64_t begin = 0; begin < nope; begin += kFp8WideBlock, scales += sizeof(float)) {
        const int64_t end = std::min(begin + kFp8WideBlock, nope);
        float scale;
        std::memcpy(&scale, scales, sizeof scale);
        for (int64_t i = begin; i < end; ++i) x[i] = e4m3_to_f32(static_cast<uint8_t>(row[i])) * scale;
      }
      load_bf16(scales, rope_dim, x + nope);
      return;
    }
  }
}

}  // namespace hadal::ops
