// A step of 256 channels of a stored row in registers: codes as natural numbers in the order of Int8Lanes. AVX-512.
//
// Each type has its own way of unpacking 64 codes at a time in the order of the channels; the transposition into lanes
// is the same for all. What comes out is what read_* of base/blocks/block_codes.h says, to the bit.
#pragma once

#include <immintrin.h>

#include "ops/linear/lane_codes.h"

namespace hadal::ops {
namespace {

struct LaneRegisters {
  __m512i code[4];  // plus 128, as unsigned bytes
  __m512 scale;
  __m512 offset;  // only where the type has one
};

// --- codes -----------------------------------------------------------------------------------------------------------

// Registers of 64 codes in the order of the channels -> code[m]: bytes 4m .. 4m + 3 of every 16.
inline void transpose(const __m512i* v, __m512i* code) {
  const __m512i a = _mm512_unpacklo_epi32(v[0], v[1]);
  const __m512i b = _mm512_unpackhi_epi32(v[0], v[1]);
  const __m512i c = _mm512_unpacklo_epi32(v[2], v[3]);
  const __m512i d = _mm512_unpackhi_epi32(v[2], v[3]);
  code[0] = _mm512_unpacklo_epi64(a, c);
  code[1] = _mm512_unpackhi_epi64(a, c);
  code[2] = _mm512_unpacklo_epi64(b, d);
  code[3] = _mm512_unpackhi_epi64(b, d);
}

inline __m512i bytes(int value) {
  return _mm512_set1_epi8(static_cast<char>(value));
}
inline __m512i load64(const std::byte* at) {
  return _mm512_loadu_si512(at);
}
// The same 32 bytes in both halves.
inline __m512i twice32(const std::byte* at) {
  return _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}
// 16 bytes of two blocks, each twice: a a b b.
inline __m512i twice16(const std::byte* a, const std::byte* b) {
  const __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a)));
  const __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b)));
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// Bits move within words; what comes from a neighbouring byte is masked away by the caller.
inline __m512i halves(int low, int high) {  // shift counts for the lower and the upper 32 bytes
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set1_epi16(static_cast<short>(low))),
                            _mm256_set1_epi16(static_cast<short>(high)), 1);
}
inline __m512i right(__m512i v, int low, int high, int mask) {
  return _mm512_and_si512(_mm512_srlv_epi16(v, halves(low, high)), bytes(mask));
}
inline __m512i left(__m512i v, int low, int high, int mask) {
  return _mm512_and_si512(_mm512_sllv_epi16(v, halves(low, high)), bytes(mask));
}
// Quarters of 16 bytes: low, high, low, high nibbles.
inline __m512i nibbles_of_quarters(__m512i v) {
  const __m512i counts = _mm512_broadcast_i64x4(_mm256_set_epi64x(0x0004000400040004, 0x0004000400040004, 0, 0));
  return _mm512_and_si512(_mm512_srlv_epi16(v, counts), bytes(15));
}

// --- scales ----------------------------------------------------------------------------------------------------------

// 16 numbers in the order of the channels, by lane (lane_of).
inline __m512 by_lane(__m512 of_sixteen) {
  const __m512i index = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  return _mm512_permutexvar_ps(index, of_sixteen);
}
// The same of 8 numbers, each for 32 channels.
inline __m512 by_lane(__m256 of_eight) {
  const __m512i index = _mm512_set_epi32(7, 5, 3, 1, 7, 5, 3, 1, 6, 4, 2, 0, 6, 4, 2, 0);
  return _mm512_permutexvar_ps(index, _mm512_castps256_ps512(of_eight));
}
inline __m512 times(float d, __m512i integers) {
  return _mm512_mul_ps(_mm512_set1_ps(d), _mm512_cvtepi32_ps(integers));
}
inline float f16(const std::byte* at) {
  return _cvtsh_ss(word_at<uint16_t>(at, 0));
}
// The halves d at the front of eight blocks.
template <int kBlockBytes>
inline __m256 eight_f16(const std::byte* at) {
  alignas(16) uint16_t d[8];
  for (int i = 0; i < 8; ++i) d[i] = word_at<uint16_t>(at, i * kBlockBytes);
  return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(d)));
}

// 8 scales and 8 offsets of 6 bits in 12 bytes (q4_k_scales), four bytes at a time.
inline void q4_k_scale_registers(const std::byte* b, LaneRegisters& out) {
  const auto s = word_at<uint32_t>(b, 4);
  const auto m = word_at<uint32_t>(b, 8);
  const auto high = word_at<uint32_t>(b, 12);
  const uint64_t scales = (s & 0x3F3F3F3F) | static_cast<uint64_t>((high & 0x0F0F0F0F) | (s >> 6 & 0x03030303) << 4)
                                                 << 32;
  const uint64_t offsets =
      (m & 0x3F3F3F3F) | static_cast<uint64_t>((high >> 4 & 0x0F0F0F0F) | (m >> 6 & 0x03030303) << 4) << 32;
  const auto widened = [](uint64_t eight) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(eight))));
  };
  out.scale = by_lane(_mm256_mul_ps(_mm256_set1_ps(f16(b)), widened(scales)));
  out.offset = by_lane(_mm256_mul_ps(_mm256_set1_ps(f16(b + 2)), widened(offsets)));
}

// --- types -----------------------------------------------------------------------------------------------------------

// Fills v with four times 64 codes plus 128, and the scales of out.
template <class Block>
struct Unpack;

template <>
struct Unpack<ReadQ8_0> {
  static void run(const std::byte* b, __m512i* v, LaneRegisters& out) {
    for (int i = 0; i < 4; ++i) {
      const auto* low = reinterpret_cast<const __m256i*>(b + 68 * i + 2);
      const auto* high = reinterpret_cast<const __m256i*>(b + 68 * i + 36);
      v[i] = _mm512_xor_si512(
          _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(low)), _mm256_loadu_si256(high), 1),
          bytes(0x80));
    }
    out.scale = by_lane(eight_f16<34>(b));
  }
};

template <>
struct Unpack<ReadQ4_0> {
  static void run(const std::byte* b, __m512i* v, LaneRegisters& out) {
    for (int i = 0; i < 4; ++i)
      v[i] = _mm512_add_epi8(nibbles_of_quarters(twice16(b + 36 * i + 2, b + 36 * i + 20)), bytes(128 - 8));
    out.scale = by_lane(eight_f16<18>(b));
  }
};

template <>
struct Unpack<ReadMxfp4> {
  static void run(const std::byte* b, __m512i* v, LaneRegisters& out) {
    const __m512i levels = _mm512_xor_si512(
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kE2m1Doubled.data()))), bytes(0x80));
    alignas(32) float scale[8];
    for (int i = 0; i < 4; ++i) {
      const std::byte* block = b + 34 * i;
      v[i] = _mm512_shuffle_epi8(levels, nibbles_of_quarters(twice16(block + 1, block + 18)));
      scale[2 * i] = e8m0_to_f32(byte_at(block, 0)) * 0.5f;
      scale[2 * i + 1] = e8m0_to_f32(byte_at(block, 17)) * 0.5f;
    }
    out.scale = by_lane(_mm256_load_ps(scale));
  }
};

template <>
struct Unpack<ReadQ2K> {
  static void run(const std::byte* b, __m512i* v, LaneRegisters& out) {
    for (int n = 0; n < 2; ++n) {
      const __m512i q = twice32(b + 16 + 32 * n);
      v[2 * n] = _mm512_or_si512(right(q, 0, 2, 3), bytes(0x80));
      v[2 * n + 1] = _mm512_or_si512(right(q, 4, 6, 3), bytes(0x80));
    }
    const __m512i pairs = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b)));
    out.scale = by_lane(times(f16(b + 80), _mm512_and_si512(pairs, _mm512_set1_epi32(15))));
    out.offset = by_lane(times(f16(b + 82), _mm512_srli_epi32(pairs, 4)));
  }
};

template <>
struct Unpack<ReadQ3K> {
  static void run(const std::byte* b, __m512i* v, LaneRegisters& out) {
    // Bit 4n + j of a mask byte becomes 4.
    const __m512i mask = twice32(b);
    const __m512i high[4] = {left(mask, 2, 1, 4), right(mask, 0, 1, 4), right(mask, 2, 3, 4), right(mask, 4, 5, 4)};
    for (int n = 0; n < 2; ++n) {
      const __m512i q = twice32(b + 32 + 32 * n);
      v[2 * n] = right(q, 0, 2, 3);
      v[2 * n + 1] = right(q, 4, 6, 3);
    }
    for (int i = 0; i < 4; ++i) v[i] = _mm512_add_epi8(_mm512_or_si512(v[i], high[i]), bytes(128 - 4));
    const auto low_a = word_at<uint32_t>(b, 96);
    const auto low_b = word_at<uint32_t>(b, 100);
    const auto top = word_at<uint32_t>(b, 104);
    const auto six_bits = [&](uint32_t low, uint32_t high_bits) {
      return static_cast<int>((low & 0x0F0F0F0F) | (high_bits & 0x03030303) << 4);
    };
    const __m128i scales = _mm_sub_epi8(_mm_set_epi32(six_bits(low_b >> 4, top >> 6), six_bits(low_a >> 4, top >> 4),
                                                      six_bits(low_b, top >> 2), six_bits(low_a, top)),
                                        _mm_set1_epi8(32));
    out.scale = by_lane(times(f16(b + 108), _mm512_cvtepi8_epi32(scales)));
  }
};

// Low nibbles of 32 bytes, then their high ones: 64 channels.
inline void unpack_nibbles_of_32(const std::byte* at, __m512i* v) {
  for (int i = 0; i < 4; ++i) v[i] = right(twice32(at + 32 * i), 0, 4, 15);
}

template <>
struct Unpack<ReadQ4K> {
  static void run(const std::byte* b, __m512i* v, LaneRegisters& out) {
    unpack_nibbles_of_32(b + 16, v);
    for (int i = 0; i < 4; ++i) v[i] = _mm512_or_si512(v[i], bytes(0x80));
    q4_k_scale_registers(b, out);
  }
};

template <>
struct Unpack<ReadQ5K> {
  static void run(const std::byte* b, __m512i* v, LaneRegisters& out) {
    unpack_nibbles_of_32(b + 48, v);
    // Bit g of a byte becomes 16.
    const __m512i mask = twice32(b + 16);
    const __m512i high[4] = {left(mask, 4, 3, 16), left(mask, 2, 1, 16), right(mask, 0, 1, 16), right(mask, 2, 3, 16)};
    for (int i = 0; i < 4; ++i) v[i] = _mm512_or_si512(_mm512_or_si512(v[i], high[i]), bytes(0x80));
    q4_k_scale_registers(b, out);
  }
};

template <>
struct Unpack<ReadQ6K> {
  static void run(const std::byte* b, __m512i* v, LaneRegisters& out) {
    for (int n = 0; n < 2; ++n) {
      const __m512i low = load64(b + 64 * n);
      const __m512i high = twice32(b + 128 + 32 * n);
      v[2 * n] = _mm512_or_si512(_mm512_and_si512(low, bytes(15)), left(high, 4, 2, 0x30));
      v[2 * n + 1] = _mm512_or_si512(right(low, 4, 4, 15), right(high, 0, 2, 0x30));
    }
    for (int i = 0; i < 4; ++i) v[i] = _mm512_add_epi8(v[i], bytes(128 - 32));
    const __m512i scales = _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b + 192)));
    out.scale = by_lane(times(f16(b + 208), scales));
  }
};

template <>
struct Unpack<ReadIq4Xs> {
  static void run(const std::byte* b, __m512i* v, LaneRegisters& out) {
    const __m512i levels = _mm512_xor_si512(
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4Levels.data()))), bytes(0x80));
    for (int i = 0; i < 4; ++i)
      v[i] = _mm512_shuffle_epi8(levels, nibbles_of_quarters(twice16(b + 8 + 32 * i, b + 24 + 32 * i)));
    const auto low = word_at<uint32_t>(b, 4);
    const auto high = word_at<uint16_t>(b, 2);
    const __m256i groups = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i four =
        _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(low)), _mm256_slli_epi32(groups, 2)),
                         _mm256_set1_epi32(15));
    const __m256i two = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(high), _mm256_slli_epi32(groups, 1)),
                                         _mm256_set1_epi32(3));
    const __m256i scales = _mm256_sub_epi32(_mm256_or_si256(four, _mm256_slli_epi32(two, 4)), _mm256_set1_epi32(32));
    out.scale = by_lane(_mm256_mul_ps(_mm256_set1_ps(f16(b)), _mm256_cvtepi32_ps(scales)));
  }
};

// Eight magnitudes of each grid entry as bytes.
struct GridBytes {
  std::array<uint64_t, 256> entry{};
};
constexpr GridBytes make_grid_bytes() {
  GridBytes out;
  for (size_t i = 0; i < 256; ++i) {
    for (unsigned t = 0; t < 8; ++t) {
      const auto level = static_cast<uint64_t>(kIq2XxsLevels[(kIq2XxsGrid[i] >> (2 * t)) & 3]);
      out.entry[i] |= level << (8 * t);
    }
  }
  return out;
}
constexpr GridBytes kGridBytes = make_grid_bytes();

// The signs of 64 channels: 7 bits of 8 are stored, the eighth makes their number even. Each byte's parity is folded
// into its lowest bit, where nothing of a neighbour comes to.
inline __mmask64 iq2_sign_mask(uint32_t low_word, uint32_t high_word) {
  const uint64_t stored = (low_word & 0x0FFFFFFF) | static_cast<uint64_t>(high_word & 0x0FFFFFFF) << 28;
  const uint64_t sevens = _pdep_u64(stored, 0x7F7F7F7F7F7F7F7F);
  uint64_t parity = sevens ^ sevens >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return sevens | (parity & 0x0101010101010101) << 7;
}

template <>
struct Unpack<ReadIq2Xxs> {
  static void run(const std::byte* b, __m512i* v, LaneRegisters& out) {
    alignas(32) uint32_t words[8];
    for (int i = 0; i < 4; ++i) {
      const std::byte* groups = b + 2 + 16 * i;
      const auto entry = [&](int at) { return static_cast<long long>(kGridBytes.entry[byte_at(groups, at)]); };
      const __m512i magnitudes =
          _mm512_set_epi64(entry(11), entry(10), entry(9), entry(8), entry(3), entry(2), entry(1), entry(0));
      words[2 * i] = word_at<uint32_t>(groups, 4);
      words[2 * i + 1] = word_at<uint32_t>(groups, 12);
      const __mmask64 signs = iq2_sign_mask(words[2 * i], words[2 * i + 1]);
      v[i] = _mm512_xor_si512(_mm512_mask_sub_epi8(magnitudes, signs, _mm512_setzero_si512(), magnitudes), bytes(0x80));
    }
    const __m256i levels = _mm256_srli_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(words)), 28);
    // In the order of read_iq2_xxs: d (0.5 + level), then a quarter.
    const __m256 half_up = _mm256_add_ps(_mm256_set1_ps(0.5f), _mm256_cvtepi32_ps(levels));
    out.scale = by_lane(_mm256_mul_ps(_mm256_mul_ps(_mm256_set1_ps(f16(b)), half_up), _mm256_set1_ps(0.25f)));
  }
};

// --- steps -----------------------------------------------------------------------------------------------------------

inline LaneRegisters registers_of(const LaneCodes& codes) {
  __m512i v[4];
  for (int i = 0; i < 4; ++i) v[i] = _mm512_xor_si512(_mm512_load_si512(codes.code + 64 * i), bytes(0x80));
  LaneRegisters out;
  transpose(v, out.code);
  out.scale = _mm512_load_ps(codes.scale);
  out.offset = _mm512_load_ps(codes.offset);
  return out;
}

// The last step of a row whose length is no multiple of 256: through memory.
template <class Reader>
LaneRegisters load_tail(const std::byte* at, int64_t values) {
  LaneCodes codes;
  Reader::read(at, values, codes);
  return registers_of(codes);
}

// A whole step.
template <class Reader>
LaneRegisters load_step(const std::byte* at) {
  __m512i v[4];
  LaneRegisters out;
  Unpack<typename Reader::Block>::run(at, v, out);
  transpose(v, out.code);
  return out;
}

}  // namespace
}  // namespace hadal::ops
