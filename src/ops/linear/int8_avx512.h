// FP4 rows times 8-bit activations by vpdpbusd. AVX-512 with VNNI; order as in int8_rows.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/dtype.h"
#include "base/unrolled.h"
#include "ops/linear/int8_rows.h"
#include "ops/linear/linear_kernels.h"
#include "ops/linear/weight_rows_avx512.h"
#include "ops/simd_avx512.h"
#include "ops/thread_scratch.h"

namespace hadal::ops {
namespace {

// 128 weights of a row, doubled and moved by 12, and their scales by lane.
struct Int8Weights {
  __m512i even;
  __m512i odd;
  __m512 scale;
};

// The least and the largest scale code of some rows.
struct ScaleRange {
  uint8_t least;
  uint8_t most;

  bool has_nan() const { return most == 255; }
  // Powers of two that the exponent of any scale of Int8Block (2^-108 to 2^120) can take without leaving a float's.
  bool is_addable() const { return least >= 127 - 17 && most <= 127 + 6; }

  static ScaleRange of(const Weight& w, int64_t row0, int64_t n) {
    const std::byte* codes = w.scale + row0 * w.scale_stride();
    const int64_t n_codes = n * w.scale_stride();
    __m512i least = _mm512_set1_epi8(-1);
    __m512i most = _mm512_setzero_si512();
    int64_t i = 0;
    for (; i + 64 <= n_codes; i += 64) {
      const __m512i some = _mm512_loadu_si512(codes + i);
      least = _mm512_min_epu8(least, some);
      most = _mm512_max_epu8(most, some);
    }
    const __mmask64 rest = (__mmask64{1} << (n_codes - i)) - 1;
    least = _mm512_mask_min_epu8(least, rest, least, _mm512_maskz_loadu_epi8(rest, codes + i));
    most = _mm512_max_epu8(most, _mm512_maskz_loadu_epi8(rest, codes + i));
    return {least_byte(least), static_cast<uint8_t>(~least_byte(_mm512_xor_si512(most, _mm512_set1_epi8(-1))))};
  }

 private:
  static uint8_t least_byte(__m512i v) {
    const __m256i a = _mm256_min_epu8(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    const __m128i b = _mm_min_epu8(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    // phminposuw: the least of eight words, each the lesser of its two bytes.
    const __m128i c = _mm_min_epu8(b, _mm_srli_epi16(b, 8));
    return static_cast<uint8_t>(_mm_extract_epi8(_mm_minpos_epu16(_mm_and_si128(c, _mm_set1_epi16(0xFF))), 0));
  }
};

// Scales as what they add to an exponent field: see add_block_by_exponent.
inline __m512 exponents(__m512 scales) {
  return _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(scales), _mm512_castps_si512(_mm512_set1_ps(1.0f))));
}

// A stored FP4 row.
struct Int8Row {
  const std::byte* data;
  const std::byte* scale;
  int64_t K;

  static Int8Row at(const Weight& w, int64_t row) {
    return {w.data + row * w.row_bytes(), w.scale + row * w.scale_stride(), w.cols};
  }

  static Int8Weights widen(__m512i pairs, __m512 scale) {
    const __m512i table =
        _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
    const __m512i nibble = _mm512_set1_epi8(15);
    return {_mm512_shuffle_epi8(table, _mm512_and_si512(pairs, nibble)),
            _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(pairs, 4), nibble)), scale};
  }
  // Scale i of four to the lanes 4i..4i+3: the code is a float's exponent field. 0 becomes zero instead of 2^-127, and
  // 255, which is NaN, infinity.
  static __m512 scales(int32_t four_codes) {
    const __m512i to_top_byte = _mm512_set_epi32(0x03808080, 0x03808080, 0x03808080, 0x03808080, 0x02808080, 0x02808080,
                                                 0x02808080, 0x02808080, 0x01808080, 0x01808080, 0x01808080, 0x01808080,
                                                 0x00808080, 0x00808080, 0x00808080, 0x00808080);
    return _mm512_castsi512_ps(_mm512_srli_epi32(_mm512_shuffle_epi8(_mm512_set1_epi32(four_codes), to_top_byte), 1));
  }
  static __m512 scales_one_by_one(int32_t four_codes) {
    alignas(64) float lanes[16];
    for (int lane = 0; lane < 16; ++lane)
      lanes[lane] = int8_weight_scale(static_cast<uint8_t>(static_cast<uint32_t>(four_codes) >> (lane / 4 * 8)));
    return _mm512_load_ps(lanes);
  }

  template <bool kPlain>
  Int8Weights load(int64_t block) const {
    int32_t codes;
    std::memcpy(&codes, scale + 4 * block, 4);
    return widen(_mm512_loadu_si512(data + 64 * block), kPlain ? scales(codes) : scales_one_by_one(codes));
  }
  // The last block of a row that is no multiple of 128. Behind K the activations are zero; the scale is 1 there.
  Int8Weights load_tail(int64_t block) const {
    const int64_t n = K - block * kInt8Block;
    uint32_t codes = 0x7F7F7F7F;
    std::memcpy(&codes, scale + 4 * block, static_cast<size_t>((n + kInt8Scaled - 1) / kInt8Scaled));
    return widen(_mm512_maskz_loadu_epi8((__mmask64{1} << (n / 2)) - 1, data + 64 * block),
                 scales_one_by_one(static_cast<int32_t>(codes)));
  }
};

// How far ahead of the multiplication a row's bytes are fetched, across the rows that follow.
constexpr int64_t kInt8FetchAhead = 8192;

// A block of a token's activations in registers, for several rows.
struct Int8Activations {
  __m512i start;
  __m512i even;
  __m512i odd;
  __m512 scale;

  static Int8Activations load(const Int8Block& x) {
    return {_mm512_loadu_si512(x.start), _mm512_loadu_si512(x.even), _mm512_loadu_si512(x.odd),
            _mm512_loadu_ps(x.scale)};
  }
};

inline __m512 int8_sums(const Int8Weights& w, const Int8Activations& x) {
  return _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(_mm512_dpbusd_epi32(x.start, w.even, x.even), w.odd, x.odd));
}

inline __m512 add_block(__m512 acc, const Int8Weights& w, const Int8Activations& x) {
  return _mm512_fmadd_ps(int8_sums(w, x), _mm512_mul_ps(w.scale, x.scale), acc);
}

// The same bits where w.scale holds exponents to add (ScaleRange::is_addable) and no scale of x is NaN: an integer
// addition leaves the two multipliers to the products.
inline __m512 add_block_by_exponent(__m512 acc, const Int8Weights& w, const Int8Activations& x) {
  const __m512i scale = _mm512_add_epi32(_mm512_castps_si512(w.scale), _mm512_castps_si512(x.scale));
  return _mm512_fmadd_ps(int8_sums(w, x), _mm512_castsi512_ps(scale), acc);
}

template <bool kPlain>
float int8_row_times_token(const Int8Row& row, const Int8Block* x) {
  __m512 acc = _mm512_setzero_ps();
  const int64_t n_full = row.K / kInt8Block;
  for (int64_t block = 0; block < n_full; ++block) {
    fetch_line(row.data + 64 * block + kInt8FetchAhead);
    acc = add_block(acc, row.load<kPlain>(block), Int8Activations::load(x[block]));
  }
  if (row.K % kInt8Block != 0) acc = add_block(acc, row.load_tail(n_full), Int8Activations::load(x[n_full]));
  return sum_tree(acc);
}

// y[r] = w[row0 + r] . x for n rows, one after the other: blocks do not wait for each other, so one stream is enough.
inline void int8_rows_times_token(const Weight& w, int64_t row0, int64_t n, const Int8Block* x, float* y) {
  for (int64_t r = 0; r < n; ++r) {
    const Int8Row row = Int8Row::at(w, row0 + r);
    fetch_line(row.scale + kInt8FetchAhead / 8);
    y[r] = int8_row_times_token<true>(row, x);
    // A scale that is NaN looks like infinity there, and no finite sum comes of it.
    if (!std::isfinite(y[r])) [[unlikely]]
      y[r] = int8_row_times_token<false>(row, x);
  }
}

// 128 weights as the several-token product reads them.
struct alignas(64) Int8PanelBlock {
  uint8_t even[64];
  uint8_t odd[64];
  float scale[16];  // or exponents, see add_block_by_exponent
};

// Stored rows that are widened next, fetched while this panel is multiplied: widening alone would wait for memory.
struct Upcoming {
  const std::byte* at;
  const std::byte* end;

  void fetch() {
    if (at >= end) return;
    fetch_line(at);
    fetch_line(at + 64);
    at += 128;
  }
};

// Groups of rows as tiles read them: widened into a panel [block][RR], or as they are stored, widened once per tile.
template <int RR>
struct PanelRows {
  const Int8PanelBlock* blocks;

  Int8Weights load(int64_t r, int64_t block) const {
    const Int8PanelBlock& w = blocks[block * RR + r];
    return {_mm512_load_si512(w.even), _mm512_load_si512(w.odd), _mm512_load_ps(w.scale)};
  }
};

// Scales as exponents.
struct StoredRows {
  Int8Row first;
  int64_t row_bytes;
  int64_t scale_stride;

  Int8Weights load(int64_t r, int64_t block) const {
    const Int8Row row{first.data + r * row_bytes, first.scale + r * scale_stride, first.K};
    const Int8Weights w = row.load<true>(block);
    return {w.even, w.odd, exponents(w.scale)};
  }
};

// y[t][r] = w[r] . x[t] over n blocks of RR rows. A block of every row waits in registers for the tokens, so that each
// product loads a quarter of an activation block: with a block of every token waiting instead, loads were the limit.
template <int TT, int RR, bool kByExponent, class Rows>
void int8_tile(const Int8Block* const* x, const Rows& rows, int64_t n, Upcoming& upcoming, float* y, int64_t y_stride) {
  __m512 acc[TT][RR];
  unrolled<TT>([&](auto t)
                   HADAL_INLINE { unrolled<RR>([&](auto r) HADAL_INLINE { acc[t][r] = _mm512_setzero_ps(); }); });
  for (int64_t block = 0; block < n; ++block) {
    upcoming.fetch();
    Int8Weights w[RR];
    unrolled<RR>([&](auto r) HADAL_INLINE { w[r] = rows.load(r, block); });
    unrolled<TT>([&](auto t) HADAL_INLINE {
      const Int8Activations a = Int8Activations::load(x[t][block]);
      unrolled<RR>([&](auto r) HADAL_INLINE {
        acc[t][r] = kByExponent ? add_block_by_exponent(acc[t][r], w[r], a) : add_block(acc[t][r], w[r], a);
      });
    });
  }
  unrolled<TT>([&](auto t) HADAL_INLINE {
    unrolled<RR>([&](auto r) HADAL_INLINE { y[t * y_stride + r] = sum_tree(acc[t][r]); });
  });
}

template <int RR, bool kByExponent, class Rows>
void int8_tile_of(int64_t tokens, const Int8Block* const* x, const Rows& rows, int64_t n, Upcoming& upcoming, float* y,
                  int64_t y_stride) {
  switch (tokens) {
    case 1:
      return int8_tile<1, RR, kByExponent>(x, rows, n, upcoming, y, y_stride);
    case 2:
      return int8_tile<2, RR, kByExponent>(x, rows, n, upcoming, y, y_stride);
    case 3:
      return int8_tile<3, RR, kByExponent>(x, rows, n, upcoming, y, y_stride);
    default:
      return int8_tile<4, RR, kByExponent>(x, rows, n, upcoming, y, y_stride);
  }
}

constexpr int64_t kInt8TileTokens = 4;
constexpr int64_t kInt8TileRows = 4;

constexpr int64_t kInt8PanelRows = 64;

// Up to kInt8PanelRows rows widened: groups of four lie block by block, the rows that are left alone.
struct Int8Panel {
  Int8PanelBlock* blocks;
  int64_t n;          // rows
  int64_t n_grouped;  // of them in groups
  int64_t n_blocks;   // of a row
  bool has_nan;       // among the scales
  bool is_addable;    // scales are stored as exponents

  static Int8Panel widen(const Weight& w, int64_t row0, int64_t n) {
    const int64_t n_blocks = (w.cols + kInt8Block - 1) / kInt8Block;
    const ScaleRange range = ScaleRange::of(w, row0, n);
    const Int8Panel panel{.blocks = reinterpret_cast<Int8PanelBlock*>(thread_scratch(
                              ScratchUse::kPanel, static_cast<size_t>(n * n_blocks) * sizeof(Int8PanelBlock))),
                          .n = n,
                          .n_grouped = n / kInt8TileRows * kInt8TileRows,
                          .n_blocks = n_blocks,
                          .has_nan = range.has_nan(),
                          .is_addable = range.is_addable()};
    for (int64_t r = 0; r < n; ++r) panel.widen_row(Int8Row::at(w, row0 + r), r);
    return panel;
  }
  Int8PanelBlock* at(int64_t r, int64_t block) const {
    return r < n_grouped
               ? blocks + r / kInt8TileRows * kInt8TileRows * n_blocks + block * kInt8TileRows + r % kInt8TileRows
               : blocks + r * n_blocks + block;
  }
  void widen_row(const Int8Row& row, int64_t r) const {
    const int64_t n_full = row.K / kInt8Block;
    for (int64_t block = 0; block < n_blocks; ++block) {
      fetch_line(row.data + 64 * block + kInt8FetchAhead);
      const Int8Weights w = block == n_full ? row.load_tail(block)
                            : has_nan       ? row.load<false>(block)
                                            : row.load<true>(block);
      Int8PanelBlock* out = at(r, block);
      _mm512_store_si512(out->even, w.even);
      _mm512_store_si512(out->odd, w.odd);
      _mm512_store_ps(out->scale, is_addable ? exponents(w.scale) : w.scale);
    }
  }
};

inline bool has_nan_scale(const Int8Block* x, int64_t n_blocks) {
  __mmask16 found = 0;
  for (int64_t block = 0; block < n_blocks; ++block) {
    const __m512 scale = _mm512_loadu_ps(x[block].scale);
    found = static_cast<__mmask16>(found | _mm512_cmp_ps_mask(scale, scale, _CMP_UNORD_Q));
  }
  return found != 0;
}

// y[t][r] for up to kInt8TileTokens tokens.
template <bool kByExponent>
void int8_panel_times_tokens(const Int8Panel& panel, const Int8Block* const* x, int64_t tokens, Upcoming& upcoming,
                             float* y, int64_t y_stride) {
  int64_t r = 0;
  for (; r < panel.n_grouped; r += kInt8TileRows) {
    int8_tile_of<kInt8TileRows, kByExponent>(tokens, x, PanelRows<kInt8TileRows>{panel.at(r, 0)}, panel.n_blocks,
                                             upcoming, y + r, y_stride);
  }
  for (; r < panel.n; ++r) {
    int8_tile_of<1, kByExponent>(tokens, x, PanelRows<1>{panel.at(r, 0)}, panel.n_blocks, upcoming, y + r, y_stride);
  }
}

// A panel is three times as large as what it is made of and goes to L2 and back. For few tokens, the tiles' widening
// again costs less.
constexpr int64_t kInt8FewTokens = 16;

// y[t][r] for n rows whose scales are addable, K a multiple of a block.
inline void int8_stored_times_tokens(const Weight& w, int64_t row0, int64_t n, const Int8Block* const* x, int64_t T,
                                     Upcoming& upcoming, float* y, int64_t y_stride) {
  const int64_t n_blocks = w.cols / kInt8Block;
  const auto tiles = [&]<int RR>(int64_t r) {
    const StoredRows rows{Int8Row::at(w, row0 + r), w.row_bytes(), w.scale_stride()};
    for (int64_t t = 0; t < T; t += kInt8TileTokens) {
      int8_tile_of<RR, true>(T - t, x + t, rows, n_blocks, upcoming, y + t * y_stride + r, y_stride);
    }
  };
  int64_t r = 0;
  for (; r + kInt8TileRows <= n; r += kInt8TileRows) tiles.template operator()<kInt8TileRows>(r);
  for (; r < n; ++r) tiles.template operator()<1>(r);
}

// y[t][r] for up to kInt8PanelRows rows and all tokens of x. A tile is by exponent or not as its panel's scales are
// stored; a token with NaN is so rare that it may take its rows one by one.
inline void int8_panel_or_stored(const Weight& w, int64_t row0, int64_t n, const Int8Block* const* x, int64_t T,
                                 Upcoming& upcoming, float* y, int64_t y_stride) {
  const int64_t n_blocks = (w.cols + kInt8Block - 1) / kInt8Block;
  const auto has_nan = [&](const Int8Block* token) { return has_nan_scale(token, n_blocks); };
  if (T <= kInt8FewTokens && w.cols % kInt8Block == 0 && ScaleRange::of(w, row0, n).is_addable() &&
      std::none_of(x, x + T, has_nan)) {
    return int8_stored_times_tokens(w, row0, n, x, T, upcoming, y, y_stride);
  }
  const Int8Panel panel = Int8Panel::widen(w, row0, n);
  for (int64_t t = 0; t < T; t += kInt8TileTokens, y += kInt8TileTokens * y_stride) {
    const int64_t tokens = std::min(kInt8TileTokens, T - t);
    if (!panel.is_addable) {
      int8_panel_times_tokens<false>(panel, x + t, tokens, upcoming, y, y_stride);
    } else if (std::none_of(x + t, x + t + tokens, has_nan)) {
      int8_panel_times_tokens<true>(panel, x + t, tokens, upcoming, y, y_stride);
    } else {
      for (int64_t i = 0; i < tokens; ++i) int8_rows_times_token(w, row0, n, x[t + i], y + i * y_stride);
    }
  }
}

// y[t][r] for n rows and all tokens of x. reads_next: TokenRows.
inline void int8_rows_times_tokens(const Weight& w, int64_t row0, int64_t n, const Int8Block* const* x, int64_t T,
                                   const std::byte* reads_next, float* y, int64_t y_stride) {
  for (int64_t r = 0; r < n; r += kInt8PanelRows) {
    const int64_t rows = std::min(kInt8PanelRows, n - r);
    const bool is_last = r + rows == n;
    const std::byte* next = is_last ? reads_next : Int8Row::at(w, row0 + r + rows).data;
    const int64_t next_rows = next == nullptr ? 0 : std::min(kInt8PanelRows, is_last ? n : n - r - rows);
    Upcoming upcoming{next, next + next_rows * w.row_bytes()};
    int8_panel_or_stored(w, row0 + r, rows, x, T, upcoming, y + r, y_stride);
  }
}

// pack_int8_block of a whole block, same bits.
inline void pack_int8_block_avx512(const float* x, Int8Block& out) {
  const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
  for (int64_t scaled = 0; scaled < kInt8Block; scaled += kInt8Scaled) {
    const __m512 low = _mm512_loadu_ps(x + scaled);
    const __m512 high = _mm512_loadu_ps(x + scaled + 16);
    const Int8Scale scale =
        int8_scale(_mm512_reduce_max_epu32(_mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(low), magnitude),
                                                            _mm512_and_si512(_mm512_castps_si512(high), magnitude))));
    const __m512 inverse = _mm512_set1_ps(scale.inverse);
    const __mmask16 all = scale.is_finite ? 0xFFFF : 0;
    const __m256i q =
        _mm256_set_m128i(_mm512_cvtsepi32_epi8(_mm512_maskz_cvtps_epi32(all, _mm512_mul_ps(high, inverse))),
                         _mm512_cvtsepi32_epi8(_mm512_maskz_cvtps_epi32(all, _mm512_mul_ps(low, inverse))));
    // Even bytes of each half to its front, then the fronts together.
    const __m256i split = _mm256_permute4x64_epi64(
        _mm256_shuffle_epi8(
            q, _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15))),
        0xD8);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out.even + scaled / 2), _mm256_castsi256_si128(split));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out.odd + scaled / 2), _mm256_extracti128_si256(split, 1));
    const __m256i of_four = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), q);
    const __m128i of_eight = _mm_hadd_epi32(_mm256_castsi256_si128(of_four), _mm256_extracti128_si256(of_four, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out.start + scaled / 8),
                     _mm_mullo_epi32(of_eight, _mm_set1_epi32(-kE2m1Offset)));
    _mm_storeu_ps(out.scale + scaled / 8, _mm_set1_ps(scale.half));
  }
}

}  // namespace
}  // namespace hadal::ops
