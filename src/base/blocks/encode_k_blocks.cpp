// Q2_K to Q6_K: 256 values, groups of 16 or 32 with a scale of few bits each.
//
// A group is fitted by itself; then the groups' scales are rounded against the largest of them, and the codes are taken
// again under the scales that will be read.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/blocks/block_encoders.h"
#include "base/blocks/block_fit.h"
#include "base/dtype.h"

namespace hadal {
namespace {

constexpr int kValues = 256;

float put_f16(float value, std::byte* at) {
  const uint16_t code = f32_to_f16(value);
  std::memcpy(at, &code, sizeof code);
  return f16_to_f32(code);
}

const float* part(const float* importance, int begin) {
  return importance == nullptr ? nullptr : importance + begin;
}

// Scales and offsets of all groups as small natural numbers times d and dm, and the codes under them.
struct OffsetBlock {
  float d = 0, dm = 0;  // as read back
  std::array<int, 16> scale{};
  std::array<int, 16> offset{};
  std::array<uint8_t, kValues> code{};
};

// Groups of n values, codes 0..q_max, scales and offsets 0..level_max; d and dm go to the block.
OffsetBlock encode_with_offsets(const float* values, const float* importance, int n, int q_max, int level_max,
                                std::byte* d_at, std::byte* dm_at) {
  OffsetBlock block;
  std::array<OffsetFit, 16> fits;
  const int groups = kValues / n;
  float scale_max = 0, offset_max = 0;
  for (int g = 0; g < groups; ++g) {
    float weights[kFitValuesMax];
    fit_weights(values + n * g, part(importance, n * g), n, weights);
    OffsetFit& fit = fits[static_cast<size_t>(g)];
    fit = fit_with_offset(values + n * g, weights, n, q_max);
    scale_max = std::max(scale_max, fit.scale);
    offset_max = std::max(offset_max, fit.offset);
  }
  block.d = put_f16(scale_max / static_cast<float>(level_max), d_at);
  block.dm = put_f16(offset_max / static_cast<float>(level_max), dm_at);
  for (int g = 0; g < groups; ++g) {
    const auto i = static_cast<size_t>(g);
    block.scale[i] = nearest_code(fits[i].scale, block.d, 0, level_max);
    block.offset[i] = nearest_code(fits[i].offset, block.dm, 0, level_max);
    const float scale = block.d * static_cast<float>(block.scale[i]);
    const float offset = block.dm * static_cast<float>(block.offset[i]);
    for (int j = n * g; j < n * (g + 1); ++j)
      block.code[static_cast<size_t>(j)] = static_cast<uint8_t>(nearest_code(values[j] + offset, scale, 0, q_max));
  }
  return block;
}

// The same without offsets: scales scale_min..scale_max, codes q_min..q_max in groups of 16.
struct SignedBlock {
  std::array<int, 16> scale{};
  std::array<int8_t, kValues> code{};
};

SignedBlock encode_signed(const float* values, const float* importance, int q_min, int q_max, int scale_min,
                          int scale_max, std::byte* d_at) {
  SignedBlock block;
  std::array<float, 16> fits;
  for (int g = 0; g < 16; ++g) {
    float weights[16];
    fit_weights(values + 16 * g, part(importance, 16 * g), 16, weights);
    fits[static_cast<size_t>(g)] = fit_scale(values + 16 * g, weights, 16, q_min, q_max);
  }
  const float largest =
      *std::max_element(fits.begin(), fits.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
  // The longer side takes the largest scale.
  const float d = put_f16(largest / static_cast<float>(scale_min), d_at);
  for (int g = 0; g < 16; ++g) {
    const auto i = static_cast<size_t>(g);
    block.scale[i] = nearest_code(fits[i], d, scale_min, scale_max);
    const float scale = d * static_cast<float>(block.scale[i]);
    for (int j = 16 * g; j < 16 * (g + 1); ++j)
      block.code[static_cast<size_t>(j)] = static_cast<int8_t>(nearest_code(values[j], scale, q_min, q_max));
  }
  return block;
}

std::byte byte_of(int value) {
  return static_cast<std::byte>(value);
}

// The 12 bytes of 8 scales and 8 offsets of 6 bits (q4_k_scales reads them).
void put_q4_k_scales(const OffsetBlock& block, std::byte* S) {
  const auto& s = block.scale;
  const auto& m = block.offset;
  for (size_t g = 0; g < 4; ++g) {
    S[g] = byte_of(s[g] | (s[g + 4] >> 4) << 6);
    S[g + 4] = byte_of(m[g] | (m[g + 4] >> 4) << 6);
    S[g + 8] = byte_of((s[g + 4] & 15) | (m[g + 4] & 15) << 4);
  }
}

}  // namespace

void encode_q2_k(const float* values, const float* importance, std::byte* b) {
  const OffsetBlock block = encode_with_offsets(values, importance, 16, 3, 15, b + 80, b + 82);
  for (size_t g = 0; g < 16; ++g) b[g] = byte_of(block.scale[g] | block.offset[g] << 4);
  for (size_t n = 0; n < 2; ++n) {
    for (size_t l = 0; l < 32; ++l) {
      const uint8_t* q = block.code.data() + 128 * n + l;
      b[16 + 32 * n + l] = byte_of(q[0] | q[32] << 2 | q[64] << 4 | q[96] << 6);
    }
  }
}

void encode_q4_k(const float* values, const float* importance, std::byte* b) {
  const OffsetBlock block = encode_with_offsets(values, importance, 32, 15, 63, b, b + 2);
  put_q4_k_scales(block, b + 4);
  for (size_t k = 0; k < 4; ++k) {
    for (size_t l = 0; l < 32; ++l)
      b[16 + 32 * k + l] = byte_of(block.code[64 * k + l] | block.code[64 * k + 32 + l] << 4);
  }
}

void encode_q5_k(const float* values, const float* importance, std::byte* b) {
  const OffsetBlock block = encode_with_offsets(values, importance, 32, 31, 63, b, b + 2);
  put_q4_k_scales(block, b + 4);
  for (size_t l = 0; l < 32; ++l) {
    int high = 0;
    for (size_t g = 0; g < 8; ++g) high |= (block.code[32 * g + l] >> 4) << g;
    b[16 + l] = byte_of(high);
    for (size_t k = 0; k < 4; ++k)
      b[48 + 32 * k + l] = byte_of((block.code[64 * k + l] & 15) | (block.code[64 * k + 32 + l] & 15) << 4);
  }
}

void encode_q3_k(const float* values, const float* importance, std::byte* b) {
  const SignedBlock block = encode_signed(values, importance, -4, 3, -32, 31, b + 108);
  std::fill_n(b, 108, std::byte{0});
  for (size_t k = 0; k < 16; ++k) {
    const int scale = block.scale[k] + 32;
    b[96 + k % 8] |= byte_of((scale & 15) << (k < 8 ? 0 : 4));
    b[104 + k % 4] |= byte_of((scale >> 4) << (2 * (k / 4)));
  }
  for (size_t i = 0; i < 256; ++i) {
    const int q = block.code[i] + 4;
    const size_t n = i / 128, j = i % 128 / 32, l = i % 32;
    b[32 + 32 * n + l] |= byte_of((q & 3) << (2 * j));
    b[l] |= byte_of((q >> 2) << (4 * n + j));
  }
}

void encode_q6_k(const float* values, const float* importance, std::byte* b) {
  const SignedBlock block = encode_signed(values, importance, -32, 31, -128, 127, b + 208);
  for (size_t k = 0; k < 16; ++k) b[192 + k] = byte_of(block.scale[k]);
  for (size_t n = 0; n < 2; ++n) {
    for (size_t l = 0; l < 32; ++l) {
      const int8_t* code = block.code.data() + 128 * n + l;
      const auto q = [&](size_t g) { return code[32 * g] + 32; };
      b[64 * n + l] = byte_of((q(0) & 15) | (q(2) & 15) << 4);
      b[64 * n + 32 + l] = byte_of((q(1) & 15) | (q(3) & 15) << 4);
      b[128 + 32 * n + l] = byte_of(q(0) >> 4 | (q(1) >> 4) << 2 | (q(2) >> 4) << 4 | (q(3) >> 4) << 6);
    }
  }
}

}  // namespace hadal
