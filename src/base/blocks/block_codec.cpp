#include "base/blocks/block_codec.h"

#include <algorithm>
#include <cmath>

#include "base/blocks/block_codes.h"
#include "base/blocks/block_encoders.h"
#include "base/check.h"

namespace hadal {
namespace {

// One block taken apart.
struct Codes {
  int8_t code[kBlockValuesMax];
  float scale[kLanesMax];
  float offset[kLanesMax];

  BlockCodes view() { return {code, scale, offset}; }
};

template <class Number, class Widen>
void widen_all(const std::byte* data, int64_t n, float* values, const Widen& widen) {
  for (int64_t i = 0; i < n; ++i) {
    Number code;
    std::memcpy(&code, data + i * static_cast<int64_t>(sizeof(Number)), sizeof code);
    values[i] = widen(code);
  }
}

template <class Narrow>
void narrow_all(const float* values, int64_t n, std::byte* data, const Narrow& narrow) {
  for (int64_t i = 0; i < n; ++i) {
    const auto code = narrow(values[i]);
    std::memcpy(data + i * static_cast<int64_t>(sizeof code), &code, sizeof code);
  }
}

using Encoder = void (*)(const float* values, const float* importance, std::byte* block);

Encoder encoder_of(DType dtype) {
  switch (dtype) {
    case DType::kQ8_0:
      return encode_q8_0;
    case DType::kQ4_0:
      return encode_q4_0;
    case DType::kQ2K:
      return encode_q2_k;
    case DType::kQ3K:
      return encode_q3_k;
    case DType::kQ4K:
      return encode_q4_k;
    case DType::kQ5K:
      return encode_q5_k;
    case DType::kQ6K:
      return encode_q6_k;
    case DType::kIQ4XS:
      return encode_iq4_xs;
    case DType::kIQ2XXS:
      return encode_iq2_xxs;
    case DType::kMXFP4:
      return encode_mxfp4;
    default:
      HADAL_CHECK(false, "no block encoder", dtype_name(dtype));
  }
  return nullptr;
}

}  // namespace

bool has_codec(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 || is_block_type(dtype);
}

void decode_values(DType dtype, const std::byte* data, int64_t n, float* values) {
  switch (dtype) {
    case DType::kF32:
      std::memcpy(values, data, static_cast<size_t>(n) * sizeof(float));
      return;
    case DType::kF16:
      return widen_all<uint16_t>(data, n, values, f16_to_f32);
    case DType::kBF16:
      return widen_all<uint16_t>(data, n, values, bf16_to_f32);
    default:
      break;
  }
  HADAL_CHECK(is_block_type(dtype), "no codec", dtype_name(dtype));
  const BlockSize size = dtype_block(dtype);
  HADAL_CHECK(n % size.values == 0, "not a whole number of blocks", n, dtype_name(dtype));
  visit_block_reader(dtype, [&](const auto& read) {
    Codes codes;
    for (int64_t i = 0; i < n; i += size.values, data += size.bytes) {
      read(data, codes.view());
      block_values(codes.view(), size.values, values + i);
    }
  });
}

void encode_values(DType dtype, const float* values, const float* importance, int64_t n, std::byte* data) {
  switch (dtype) {
    case DType::kF32:
      std::memcpy(data, values, static_cast<size_t>(n) * sizeof(float));
      return;
    case DType::kF16:
      return narrow_all(values, n, data, f32_to_f16);
    case DType::kBF16:
      return narrow_all(values, n, data, f32_to_bf16);
    default:
      break;
  }
  const BlockSize size = dtype_block(dtype);
  HADAL_CHECK(n % size.values == 0, "not a whole number of blocks", n, dtype_name(dtype));
  const Encoder encode = encoder_of(dtype);
  for (int64_t i = 0; i < n; i += size.values, data += size.bytes)
    encode(values + i, importance == nullptr ? nullptr : importance + i, data);
}

std::optional<int64_t> first_bad_scale(DType dtype, const std::byte* data, int64_t n) {
  const BlockSize size = dtype_block(dtype);
  std::optional<int64_t> bad;
  visit_block_reader(dtype, [&](const auto& read) {
    Codes codes;
    const int lanes = size.values / kLaneValues;
    for (int64_t i = 0; i < n && !bad; i += size.values, data += size.bytes) {
      read(data, codes.view());
      const auto is_finite = [](float v) { return std::isfinite(v); };
      if (!std::all_of(codes.scale, codes.scale + lanes, is_finite) ||
          !std::all_of(codes.offset, codes.offset + lanes, is_finite))
        bad = i;
    }
  });
  return bad;
}

}  // namespace hadal
