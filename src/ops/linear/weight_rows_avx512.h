// Rows of stored matrices in registers: 64 weights at a time, as BF16 words or as floats. AVX-512 with VBMI and BF16.
//
// FP8 codes come without their block scale: it is a power of two for 128 columns of 128 rows, so it is multiplied onto
// the activations once per block of rows instead of onto every weight. FP4 scales (per row and 32 columns) are put into
// the look-up table of the 16 codes. Both are exact.
#pragma once

#include <array>
#include <cstring>

#include "base/dtype.h"
#include "device/tensor.h"
#include "ops/simd_avx512.h"

namespace hadal::ops {
namespace {

constexpr uint16_t bf16_of_e4m3(unsigned code) {
  const unsigned exponent = code >> 3 & 15;
  const unsigned mantissa = code & 7;
  if (exponent == 15 && mantissa == 7) return 0x7FC0;
  if (exponent != 0) return static_cast<uint16_t>((exponent + 120) << 7 | mantissa << 4);
  if (mantissa == 0) return 0;
  const unsigned top = mantissa >= 4 ? 2 : mantissa >= 2 ? 1 : 0;  // m * 2^-9 = 2^(top - 9) * (m / 2^top)
  return static_cast<uint16_t>((top + 118) << 7 | ((mantissa << (7 - top)) & 0x7F));
}

// Low and high bytes of the BF16 value of each magnitude code.
struct alignas(64) E4m3Bytes {
  std::array<uint8_t, 128> low{};
  std::array<uint8_t, 128> high{};
};
constexpr E4m3Bytes make_e4m3_bytes() {
  E4m3Bytes bytes;
  for (unsigned code = 0; code < 128; ++code) {
    bytes.low[code] = static_cast<uint8_t>(bf16_of_e4m3(code));
    bytes.high[code] = static_cast<uint8_t>(bf16_of_e4m3(code) >> 8);
  }
  return bytes;
}
constexpr E4m3Bytes kE4m3Bytes = make_e4m3_bytes();

// BF16 of the 16 FP4 codes, twice: a 32-word table for vpermw.
alignas(64) constexpr std::array<uint16_t, 32> kE2m1Words = {
    0x0000, 0x3F00, 0x3F80, 0x3FC0, 0x4000, 0x4040, 0x4080, 0x40C0, 0x8000, 0xBF00, 0xBF80,
    0xBFC0, 0xC000, 0xC040, 0xC080, 0xC0C0, 0x0000, 0x3F00, 0x3F80, 0x3FC0, 0x4000, 0x4040,
    0x4080, 0x40C0, 0x8000, 0xBF00, 0xBF80, 0xBFC0, 0xC000, 0xC040, 0xC080, 0xC0C0};

// What a scale adds to the exponent field of a BF16 word, ready to be broadcast from memory.
struct E2m1Shifts {
  std::array<int16_t, 256> word{};
  static bool is_normal(uint8_t scale) { return static_cast<uint8_t>(scale - 2) <= 249; }
};
constexpr E2m1Shifts make_e2m1_shifts() {
  E2m1Shifts shifts;
  for (int scale = 2; scale <= 251; ++scale)
    shifts.word[static_cast<size_t>(scale)] = static_cast<int16_t>((scale - 127) * 128);
  return shifts;
}
constexpr E2m1Shifts kE2m1Shifts = make_e2m1_shifts();

// A hint: the address may lie behind the matrix.
inline void fetch_line(const std::byte* at) {
  _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T1);
}

// The two halves of 64 BF16 words in natural order.
struct Words64 {
  __m512i low;
  __m512i high;
};

struct Bf16Row {
  const std::byte* data;

  static Bf16Row at(const Weight& w, int64_t row) { return {w.data + row * w.row_bytes()}; }
  void fetch(int64_t k, int64_t ahead) const {
    fetch_line(data + 2 * k + ahead);
    fetch_line(data + 2 * k + ahead + 64);
  }
  Words64 load(int64_t k) const { return {_mm512_loadu_si512(data + 2 * k), _mm512_loadu_si512(data + 2 * k + 64)}; }
  Words64 load_tail(int64_t k, int64_t n) const {
    alignas(64) std::byte tail[128] = {};
    std::memcpy(tail, data + 2 * k, static_cast<size_t>(2 * n));
    return {_mm512_load_si512(tail), _mm512_load_si512(tail + 64)};
  }
};

struct E4m3Row {
  const std::byte* data;

  static E4m3Row at(const Weight& w, int64_t row) { return {w.data + row * w.row_bytes()}; }
  void fetch(int64_t k, int64_t ahead) const { fetch_line(data + k + ahead); }
  static Words64 widen(__m512i codes) {
    // 64-bit pieces 0 4 1 5 2 6 3 7, so that the byte interleaving below, which stays inside 128 bits, ends in order.
    const __m512i order = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0);
    const __m512i c = _mm512_permutexvar_epi64(order, codes);
    // The look-ups ignore the sign bit of the code.
    const __m512i low = _mm512_permutex2var_epi8(_mm512_load_si512(kE4m3Bytes.low.data()), c,
                                                 _mm512_load_si512(kE4m3Bytes.low.data() + 64));
    const __m512i magnitude = _mm512_permutex2var_epi8(_mm512_load_si512(kE4m3Bytes.high.data()), c,
                                                       _mm512_load_si512(kE4m3Bytes.high.data() + 64));
    const __m512i high =
        _mm512_ternarylogic_epi64(magnitude, c, _mm512_set1_epi8(static_cast<char>(0x80)), 0xF8);  // a | (b & c)
    return {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
  }
  Words64 load(int64_t k) const { return widen(_mm512_loadu_si512(data + k)); }
  Words64 load_tail(int64_t k, int64_t n) const {
    const __mmask64 mask = n >= 64 ? ~__mmask64{0} : (__mmask64{1} << n) - 1;
    return widen(_mm512_maskz_loadu_epi8(mask, data + k));
  }
};

struct E2m1Row {
  const std::byte* data;
  const std::byte* scale;

  static E2m1Row at(const Weight& w, int64_t row) {
    return {w.data + row * w.row_bytes(), w.scale + row * w.scale_stride()};
  }
  void fetch(int64_t k, int64_t ahead) const { fetch_line(data + k / 2 + ahead); }
  // BF16 of all 16 codes times 2^(scale - 127): added to the exponent field, which stays in 1..254 for all scales but
  // the five outermost.
  static __m512i table(uint8_t scale) {
    const __m512i words = _mm512_load_si512(kE2m1Words.data());
    if (kE2m1Shifts.is_normal(scale)) [[likely]] {
      const __m512i shift = _mm512_set1_epi16(kE2m1Shifts.word[scale]);
      return _mm512_mask_add_epi16(words, 0xFEFEFEFE, words, shift);
    }
    alignas(64) uint16_t scaled[32];
    for (unsigned i = 0; i < 32; ++i) {
      scaled[i] = f32_to_bf16(e2m1_to_f32(static_cast<uint8_t>(i & 15)) * e8m0_to_f32(scale));
    }
    return _mm512_load_si512(scaled);
  }
  static __m512i widen(__m128i pairs, uint8_t scale) {
    // Byte b becomes the words b & 15, b >> 4.
    const __m512i d = _mm512_cvtepu8_epi32(pairs);
    const __m512i codes = _mm512_and_si512(_mm512_or_si512(d, _mm512_slli_epi32(d, 12)), _mm512_set1_epi32(0x000F000F));
    return _mm512_permutexvar_epi16(codes, table(scale));
  }
  Words64 load(int64_t k) const {
    const std::byte* at = data + k / 2;
    return {widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)), static_cast<uint8_t>(scale[k / 32])),
            widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 16)), static_cast<uint8_t>(scale[k / 32 + 1]))};
  }
  Words64 load_tail(int64_t k, int64_t n) const {
    alignas(16) std::byte tail[32] = {};
    std::memcpy(tail, data + k / 2, static_cast<size_t>(n / 2));
    const auto* at = reinterpret_cast<const __m128i*>(tail);
    const __m512i high =
        n > 32 ? widen(_mm_load_si128(at + 1), static_cast<uint8_t>(scale[k / 32 + 1])) : _mm512_setzero_si512();
    return {widen(_mm_load_si128(at), static_cast<uint8_t>(scale[k / 32])), high};
  }
};

// The same as floats: 64 weights in four registers.
struct Floats64 {
  __m512 v[4];
};

inline __m512 widen_bf16(__m256i words) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16));
}

inline Floats64 widen_words(const Words64& w) {
  return {{widen_bf16(_mm512_castsi512_si256(w.low)), widen_bf16(_mm512_extracti64x4_epi64(w.low, 1)),
           widen_bf16(_mm512_castsi512_si256(w.high)), widen_bf16(_mm512_extracti64x4_epi64(w.high, 1))}};
}

// BF16, FP8 and FP4 weights are exact in BF16, so floats are the widened words.
template <class WordRow>
struct FloatsOfWords {
  WordRow row;

  static FloatsOfWords at(const Weight& w, int64_t r) { return {WordRow::at(w, r)}; }
  void fetch(int64_t k, int64_t ahead) const { row.fetch(k, ahead); }
  Floats64 load(int64_t k) const { return widen_words(row.load(k)); }
  Floats64 load_tail(int64_t k, int64_t n) const { return widen_words(row.load_tail(k, n)); }
};

struct F32Row {
  const float* data;

  static F32Row at(const Weight& w, int64_t row) {
    return {reinterpret_cast<const float*>(w.data + row * w.row_bytes())};
  }
  void fetch(int64_t k, int64_t ahead) const {
    for (int64_t line = 0; line < 4; ++line)
      fetch_line(reinterpret_cast<const std::byte*>(data + k) + ahead + 64 * line);
  }
  Floats64 load(int64_t k) const {
    return {{_mm512_loadu_ps(data + k), _mm512_loadu_ps(data + k + 16), _mm512_loadu_ps(data + k + 32),
             _mm512_loadu_ps(data + k + 48)}};
  }
  Floats64 load_tail(int64_t k, int64_t n) const {
    Floats64 out;
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t lanes = std::min<int64_t>(16, std::max<int64_t>(0, n - 16 * i));
      out.v[i] = _mm512_maskz_loadu_ps(first_lanes(lanes), data + k + 16 * i);
    }
    return out;
  }
};

struct F16Row {
  const std::byte* data;

  static F16Row at(const Weight& w, int64_t row) { return {w.data + row * w.row_bytes()}; }
  void fetch(int64_t k, int64_t ahead) const {
    fetch_line(data + 2 * k + ahead);
    fetch_line(data + 2 * k + ahead + 64);
  }
  static Floats64 widen(const std::byte* at) {
    Floats64 out;
    for (int i = 0; i < 4; ++i)
      out.v[i] = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32 * i)));
    return out;
  }
  Floats64 load(int64_t k) const { return widen(data + 2 * k); }
  Floats64 load_tail(int64_t k, int64_t n) const {
    alignas(64) std::byte tail[128] = {};
    std::memcpy(tail, data + 2 * k, static_cast<size_t>(2 * n));
    return widen(tail);
  }
};

}  // namespace
}  // namespace hadal::ops
