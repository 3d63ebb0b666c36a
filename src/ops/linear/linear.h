// Linear layers on weights as they are stored: y = round(x) W^T, for F32, F16, BF16, FP8, FP4 and GGUF's block types.
//
//   y[t, n] = sum_k r(x[t, k]) w[n, k]       w dequantised exactly, r the activation rounding, products summed in float
//
// Activations are packed once (pack_rows) and then used by every linear that reads them. Weights are exact in every
// product: FP8 times its power-of-two scale in BF16, FP4 as integers. The fast mode rounds activations alone.
//
// Sources: linear() of the release's inference/model.py; OCP microscaling formats; the release's act_quant.
#pragma once

#include "device/device.h"
#include "device/tensor.h"
#include "ops/linear/int8_lanes.h"
#include "ops/versions.h"

namespace hadal::ops {

// What happens to activations before they are multiplied.
enum class ActivationRounding {
  kNone,            // float as they are
  kBf16,            // rounded to BF16
  kE4m3,            // per token and 128 channels to E4M3 with a power-of-two scale, and back: the published rounding
  kE4m3By32,        // the same per 32 channels: that of V4.1
  kE4m3FloatScale,  // kE4m3 with a float scale, largest / 448: that of V3 and R1
  kInt8,            // per token and 32 channels to -127..127 times a scale (int8_rows.h); for FP4 weights only
  kInt8Lanes,       // the same in another order (int8_lanes.h); for GGUF's block types only
};
inline constexpr size_t kActivationRoundings = 7;

// Whether a device multiplies 8-bit rows with FP4 weights; others take BF16 ones in the fast mode.
bool has_int8_rows(const Device::Shape& device);
// Whether fast mode multiplies weights of this type in 8 bits, on a device that has_int8_rows.
inline bool is_met_in_int8(DType weight) {
  return weight == DType::kF4E2M1 || is_block_type(weight);
}

enum class RowFormat { kF32, kBf16, kInt8, kInt8Lanes };

constexpr RowFormat row_format(ActivationRounding rounding) {
  if (rounding == ActivationRounding::kInt8) return RowFormat::kInt8;
  if (rounding == ActivationRounding::kInt8Lanes) return RowFormat::kInt8Lanes;
  return rounding == ActivationRounding::kBf16 ? RowFormat::kBf16 : RowFormat::kF32;
}

// Activations ready to be multiplied: [T, groups, k_padded], zeros behind K. kInt8: [T, groups] rows of Int8Block;
// kInt8Lanes: of Int8Lanes.
struct PackedRows {
  RowFormat format = RowFormat::kF32;
  int64_t T = 0;
  int64_t groups = 1;
  int64_t K = 0;              // channels of a group
  std::byte* data = nullptr;  // packed_rows_bytes(...) bytes, aligned to 64

  int64_t k_padded() const {
    const int64_t step = format == RowFormat::kInt8Lanes ? 256 : format == RowFormat::kInt8 ? 128 : 64;
    return (K + step - 1) / step * step;
  }
  int64_t row_bytes() const {
    if (format == RowFormat::kInt8Lanes) return k_padded() / kLaneStep * static_cast<int64_t>(sizeof(Int8Lanes));
    return k_padded() * (format == RowFormat::kF32 ? 4 : 2);
  }
  std::byte* row(int64_t t, int64_t group) const { return data + (t * groups + group) * row_bytes(); }
};

int64_t packed_rows_bytes(int64_t T, int64_t groups, int64_t K, RowFormat format);

struct PackRows {
  const float* x = nullptr;  // [T, groups K], rows x_stride elements apart
  int64_t x_stride = 0;
  ActivationRounding rounding = ActivationRounding::kNone;
  PackedRows out;  // format must be row_format(rounding)
};

void pack_rows(Device& device, const PackRows& op);
void pack_rows_reference(CpuDevice& cpu, const PackRows& op);
std::span<const Version<PackRows>> pack_rows_versions();

struct Linear {
  PackedRows x;        // [T, groups, K]
  Weight w;            // [N, K]; with groups, rows [g N / groups, (g + 1) N / groups) read group g of x
  float* y = nullptr;  // [T, N], rows y_stride elements apart
  int64_t y_stride = 0;
};

// Order: for each (t, n) one chain over k in steps of the vector width, lanes added by the tree of ops/simd_avx512.h
// (sum_tree); for kInt8 as in int8_rows.h, for kInt8Lanes as in int8_lanes.h. It depends on neither T nor N nor
// threads: a token gives the same bits alone and in a batch. Accuracy: within K * 2^-24 * sum |x w| of the reference,
// which sums in double. Cost: reads w.bytes() once per call for any T that fits the cache, 2 T N K operations. On a GPU
// the order is that of tile_sums.cuh, matrices are aligned to 16 bytes and K is a multiple of 4; codes of NaN in FP8
// read as 480 in the fast mode, and scales of FP4 lie in [2^-94, 2^33].
void linear(Device& device, const Linear& op);
// Several, of which none reads what another writes; each gives the bits that it gives alone. A GPU launches them
// together where they have equally many tokens: small matrices leave most of it without work.
void linear(Device& device, std::span<const Linear> ops);
void linear_reference(CpuDevice& cpu, const Linear& op);
std::span<const Version<Linear>> linear_versions();

// One element of a stored matrix as float, exact: the definition that every dequantiser is tested against.
float weight_at(const Weight& w, int64_t row, int64_t col);

}  // namespace hadal::ops
