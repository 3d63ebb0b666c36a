// What GGUF's block types have in common: a block is small integers, and a scale and an offset for every 16 of them.
//
//   value i = scale[i / 16] * code[i] - offset[i / 16]         in float, rounded after each operation
//
// One function per type takes a block apart. Decoding is that formula; integer products use the codes as they are.
// Source: the block structs and dequantize_row_* of ggml-common.h and ggml-quants.c, llama.cpp v0.5.0.
//
// Everything has internal linkage: files for several instruction sets include this (cmake/HadalModule.cmake).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/blocks/iq2_xxs_grid.h"
#include "base/dtype.h"

namespace hadal {
namespace {

inline constexpr int kLaneValues = 16;
inline constexpr int kLanesMax = kBlockValuesMax / kLaneValues;

// Arrays hold what the block has: 32 or 256 codes, 2 or 16 lanes.
struct BlockCodes {
  int8_t* code;
  float* scale;
  float* offset;  // 0 where the type has none
};

inline uint8_t byte_at(const std::byte* block, int at) {
  return static_cast<uint8_t>(block[at]);
}
inline float f16_at(const std::byte* block, int at) {
  uint16_t code;
  std::memcpy(&code, block + at, sizeof code);
  return f16_to_f32(code);
}
template <class Word>
Word word_at(const std::byte* block, int at) {
  Word word;
  std::memcpy(&word, block + at, sizeof word);
  return word;
}

inline void fill_lanes(const BlockCodes& out, int lanes, float scale) {
  for (int lane = 0; lane < lanes; ++lane) {
    out.scale[lane] = scale;
    out.offset[lane] = 0;
  }
}

// --- blocks of 32 ----------------------------------------------------------------------------------------------------

// f16 d, 32 i8.
inline void read_q8_0(const std::byte* b, const BlockCodes& out) {
  for (int i = 0; i < 32; ++i) out.code[i] = static_cast<int8_t>(b[2 + i]);
  fill_lanes(out, 2, f16_at(b, 0));
}

// f16 d, 16 bytes: element j in the low and j + 16 in the high nibble.
inline void read_q4_0(const std::byte* b, const BlockCodes& out) {
  for (int j = 0; j < 16; ++j) {
    out.code[j] = static_cast<int8_t>((byte_at(b, 2 + j) & 15) - 8);
    out.code[j + 16] = static_cast<int8_t>((byte_at(b, 2 + j) >> 4) - 8);
  }
  fill_lanes(out, 2, f16_at(b, 0));
}

// E2M1 doubled, hence scales of 2^(e - 128).
inline constexpr std::array<int8_t, 16> kE2m1Doubled = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// E8M0 e, 16 bytes of nibbles as in Q4_0. The halves of 2^-127 and 2^-126 are subnormal.
inline void read_mxfp4(const std::byte* b, const BlockCodes& out) {
  for (int j = 0; j < 16; ++j) {
    out.code[j] = kE2m1Doubled[byte_at(b, 1 + j) & 15];
    out.code[j + 16] = kE2m1Doubled[byte_at(b, 1 + j) >> 4];
  }
  fill_lanes(out, 2, e8m0_to_f32(byte_at(b, 0)) * 0.5f);
}

// --- K-quants: 256 values
// ----------------------------------------------------------------------------------------------

// 16 bytes: scale in the low, offset in the high nibble; 64 bytes of two bits; f16 d, f16 dm.
inline void read_q2_k(const std::byte* b, const BlockCodes& out) {
  const float d = f16_at(b, 80);
  const float dm = f16_at(b, 82);
  for (int lane = 0; lane < 16; ++lane) {
    out.scale[lane] = d * static_cast<float>(byte_at(b, lane) & 15);
    out.offset[lane] = dm * static_cast<float>(byte_at(b, lane) >> 4);
  }
  for (int n = 0; n < 2; ++n) {
    for (int j = 0; j < 4; ++j) {
      for (int l = 0; l < 32; ++l)
        out.code[128 * n + 32 * j + l] = static_cast<int8_t>((byte_at(b, 16 + 32 * n + l) >> (2 * j)) & 3);
    }
  }
}

// Scale k of 16 in the 12 bytes S of a Q3_K block: 6 bits, moved by 32.
inline int q3_k_scale(const std::byte* S, int k) {
  const int low = k < 8 ? byte_at(S, k) & 15 : byte_at(S, k - 8) >> 4;
  const int high = (byte_at(S, 8 + k % 4) >> (2 * (k / 4))) & 3;
  return (low | high << 4) - 32;
}

// 32 bytes of third bits (set: not minus 4), 64 bytes of two bits, 12 bytes of scales, f16 d.
inline void read_q3_k(const std::byte* b, const BlockCodes& out) {
  const float d = f16_at(b, 108);
  for (int lane = 0; lane < 16; ++lane) {
    out.scale[lane] = d * static_cast<float>(q3_k_scale(b + 96, lane));
    out.offset[lane] = 0;
  }
  for (int n = 0; n < 2; ++n) {
    for (int j = 0; j < 4; ++j) {
      for (int l = 0; l < 32; ++l) {
        const int low = (byte_at(b, 32 + 32 * n + l) >> (2 * j)) & 3;
        const int is_high = (byte_at(b, l) >> (4 * n + j)) & 1;
        out.code[128 * n + 32 * j + l] = static_cast<int8_t>(low + 4 * is_high - 4);
      }
    }
  }
}

// Scale and offset of group g of 8 in the 12 bytes S of a Q4_K or Q5_K block: 6 bits each.
struct ScalePair {
  int scale;
  int offset;
};
inline ScalePair q4_k_scales(const std::byte* S, int g) {
  if (g < 4) return {byte_at(S, g) & 63, byte_at(S, g + 4) & 63};
  return {(byte_at(S, g + 4) & 15) | (byte_at(S, g - 4) >> 6) << 4, byte_at(S, g + 4) >> 4 | (byte_at(S, g) >> 6) << 4};
}
inline void read_q4_k_scales(const std::byte* b, const BlockCodes& out) {
  const float d = f16_at(b, 0);
  const float dm = f16_at(b, 2);
  for (int g = 0; g < 8; ++g) {
    const ScalePair pair = q4_k_scales(b + 4, g);
    out.scale[2 * g] = out.scale[2 * g + 1] = d * static_cast<float>(pair.scale);
    out.offset[2 * g] = out.offset[2 * g + 1] = dm * static_cast<float>(pair.offset);
  }
}

// f16 d, f16 dm, 12 bytes of scales, 128 bytes: group 2k in the low, 2k + 1 in the high nibbles of 32.
inline void read_q4_k(const std::byte* b, const BlockCodes& out) {
  read_q4_k_scales(b, out);
  for (int k = 0; k < 4; ++k) {
    for (int l = 0; l < 32; ++l) {
      out.code[64 * k + l] = static_cast<int8_t>(byte_at(b, 16 + 32 * k + l) & 15);
      out.code[64 * k + 32 + l] = static_cast<int8_t>(byte_at(b, 16 + 32 * k + l) >> 4);
    }
  }
}

// As Q4_K with 32 bytes of fifth bits, bit g for group g, before the nibbles.
inline void read_q5_k(const std::byte* b, const BlockCodes& out) {
  read_q4_k_scales(b, out);
  for (int k = 0; k < 4; ++k) {
    for (int l = 0; l < 32; ++l) {
      const int high = byte_at(b, 16 + l) >> (2 * k);
      const int nibbles = byte_at(b, 48 + 32 * k + l);
      out.code[64 * k + l] = static_cast<int8_t>((nibbles & 15) | (high & 1) << 4);
      out.code[64 * k + 32 + l] = static_cast<int8_t>(nibbles >> 4 | (high >> 1 & 1) << 4);
    }
  }
}

// 128 bytes of four bits, 64 bytes of two bits, 16 i8 scales, f16 d.
inline void read_q6_k(const std::byte* b, const BlockCodes& out) {
  const float d = f16_at(b, 208);
  for (int lane = 0; lane < 16; ++lane) {
    out.scale[lane] = d * static_cast<float>(static_cast<int8_t>(b[192 + lane]));
    out.offset[lane] = 0;
  }
  for (int n = 0; n < 2; ++n) {
    for (int g = 0; g < 4; ++g) {
      for (int l = 0; l < 32; ++l) {
        const int low = (byte_at(b, 64 * n + l + 32 * (g & 1)) >> (g >= 2 ? 4 : 0)) & 15;
        const int high = (byte_at(b, 128 + 32 * n + l) >> (2 * g)) & 3;
        out.code[128 * n + 32 * g + l] = static_cast<int8_t>((low | high << 4) - 32);
      }
    }
  }
}

// --- code books ------------------------------------------------------------------------------------------------------

inline constexpr std::array<int8_t, 16> kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                      1,    13,   25,  38,  53,  69,  89,  113};

// f16 d, u16 of the scales' high bits, 4 bytes of their low nibbles, 8 x 16 bytes of nibbles as in Q4_0.
inline void read_iq4_xs(const std::byte* b, const BlockCodes& out) {
  const float d = f16_at(b, 0);
  const auto high = word_at<uint16_t>(b, 2);
  for (int g = 0; g < 8; ++g) {
    const int low = (byte_at(b, 4 + g / 2) >> (4 * (g % 2))) & 15;
    const int scale = (low | ((high >> (2 * g)) & 3) << 4) - 32;
    out.scale[2 * g] = out.scale[2 * g + 1] = d * static_cast<float>(scale);
    out.offset[2 * g] = out.offset[2 * g + 1] = 0;
    for (int j = 0; j < 16; ++j) {
      const uint8_t nibbles = byte_at(b, 8 + 16 * g + j);
      out.code[32 * g + j] = kIq4Levels[nibbles & 15];
      out.code[32 * g + 16 + j] = kIq4Levels[nibbles >> 4];
    }
  }
}

// Seven signs are stored, the eighth makes the number of minus signs even.
inline uint32_t iq2_signs(uint32_t seven) {
  return seven | static_cast<uint32_t>(std::popcount(seven) & 1) << 7;
}

// f16 d; per 32 values four code bytes and a u32: four times seven signs, then the scale's four bits.
inline void read_iq2_xxs(const std::byte* b, const BlockCodes& out) {
  const float d = f16_at(b, 0);
  for (int g = 0; g < 8; ++g) {
    const auto word = word_at<uint32_t>(b, 2 + 8 * g + 4);
    out.scale[2 * g] = out.scale[2 * g + 1] = d * (0.5f + static_cast<float>(word >> 28)) * 0.25f;
    out.offset[2 * g] = out.offset[2 * g + 1] = 0;
    for (int l = 0; l < 4; ++l) {
      const uint32_t digits = kIq2XxsGrid[byte_at(b, 2 + 8 * g + l)];
      const uint32_t signs = iq2_signs((word >> (7 * l)) & 127);
      for (int t = 0; t < 8; ++t) {
        const int level = kIq2XxsLevels[(digits >> (2 * t)) & 3];
        out.code[32 * g + 8 * l + t] = static_cast<int8_t>((signs >> t & 1) != 0 ? -level : level);
      }
    }
  }
}

// Takes one block of that type apart. `visit` is called with the reader, so that a loop over blocks is compiled once
// per type.
template <class Visit>
void visit_block_reader(DType dtype, const Visit& visit) {
  switch (dtype) {
    case DType::kQ8_0:
      return visit([](const std::byte* b, const BlockCodes& out) { read_q8_0(b, out); });
    case DType::kQ4_0:
      return visit([](const std::byte* b, const BlockCodes& out) { read_q4_0(b, out); });
    case DType::kQ2K:
      return visit([](const std::byte* b, const BlockCodes& out) { read_q2_k(b, out); });
    case DType::kQ3K:
      return visit([](const std::byte* b, const BlockCodes& out) { read_q3_k(b, out); });
    case DType::kQ4K:
      return visit([](const std::byte* b, const BlockCodes& out) { read_q4_k(b, out); });
    case DType::kQ5K:
      return visit([](const std::byte* b, const BlockCodes& out) { read_q5_k(b, out); });
    case DType::kQ6K:
      return visit([](const std::byte* b, const BlockCodes& out) { read_q6_k(b, out); });
    case DType::kIQ4XS:
      return visit([](const std::byte* b, const BlockCodes& out) { read_iq4_xs(b, out); });
    case DType::kIQ2XXS:
      return visit([](const std::byte* b, const BlockCodes& out) { read_iq2_xxs(b, out); });
    default:
      return visit([](const std::byte* b, const BlockCodes& out) { read_mxfp4(b, out); });
  }
}

// The blocks' scales are offset, too.
inline bool has_offsets(DType dtype) {
  return dtype == DType::kQ2K || dtype == DType::kQ4K || dtype == DType::kQ5K;
}

// values[i] of one block that was taken apart.
inline void block_values(const BlockCodes& codes, int n, float* values) {
  for (int lane = 0; lane < n / kLaneValues; ++lane) {
    for (int i = kLaneValues * lane; i < kLaneValues * (lane + 1); ++i)
      values[i] = codes.scale[lane] * static_cast<float>(codes.code[i]) - codes.offset[lane];
  }
}

}  // namespace
}  // namespace hadal
