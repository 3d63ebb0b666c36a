// FP4 rows times 8-bit activations by vpdpbusd. AVX-512 with VNNI; order as in int8_rows.h.
#pragma once

#include <algorithm>
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

// A stored FP4 row. Scales 2^-127 and NaN are no float's exponent field; rows that have one take the slow way.
struct Int8Row {
  const std::byte* data;
  const std::byte* scale;
  int64_t K;
  bool is_plain;

  static Int8Row at(const Weight& w, int64_t row) {
    Int8Row r{w.data + row * w.row_bytes(), w.scale + row * w.scale_stride(), w.cols, true};
    for (int64_t i = 0; i < w.scale_stride(); i += 64) {
      const int64_t n = std::min<int64_t>(64, w.scale_stride() - i);
      const __m512i codes = _mm512_maskz_loadu_epi8(n == 64 ? ~__mmask64{0} : (__mmask64{1} << n) - 1, r.scale + i);
      // Behind the row's end lie zeros; they are not counted.
      const __mmask64 odd_ones =
          _mm512_cmple_epu8_mask(_mm512_add_epi8(codes, _mm512_set1_epi8(1)), _mm512_set1_epi8(1));
      r.is_plain = r.is_plain && (n == 64 ? odd_ones : odd_ones & ((__mmask64{1} << n) - 1)) == 0;
    }
    return r;
  }

  static Int8Weights widen(__m512i pairs, __m512 scale) {
    const __m512i table =
        _mm512_broadcast_i32x4(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
    const __m512i nibble = _mm512_set1_epi8(15);
    return {_mm512_shuffle_epi8(table, _mm512_and_si512(pairs, nibble)),
            _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(pairs, 4), nibble)), scale};
  }
  // Scale i of four to the lanes 4i..4i+3: the code is a float's exponent field.
  static __m512 scales(int32_t four_codes) {
    const __m512i to_top_byte = _mm512_set_epi32(0x03808080, 0x03808080, 0x03808080, 0x03808080, 0x02808080, 0x02808080,
                                                 0x02808080, 0x02808080, 0x01808080, 0x01808080, 0x01808080, 0x01808080,
                                                 0x00808080, 0x00808080, 0x00808080, 0x00808080);
    return _mm512_castsi512_ps(_mm512_srli_epi32(_mm512_shuffle_epi8(_mm512_set1_epi32(four_codes), to_top_byte), 1));
  }
  static __m512 scales_one_by_one(int32_t four_codes) {
    alignas(64) float lanes[16];
    for (int lane = 0; lane < 16; ++lane)
      lanes[lane] = e8m0_to_f32(static_cast<uint8_t>(static_cast<uint32_t>(four_codes) >> (lane / 4 * 8)));
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
    std::memcpy(&codes, scale + 4 * block, static_cast<size_t>(n / kInt8Scaled));
    return widen(_mm512_maskz_loadu_epi8((__mmask64{1} << (n / 2)) - 1, data + 64 * block),
                 scales_one_by_one(static_cast<int32_t>(codes)));
  }
};

// How far ahead of the multiplication a row's bytes are fetched, across the rows that follow.
constexpr int64_t kInt8FetchAhead = 4096;

inline __m512 add_block(__m512 acc, const Int8Weights& w, const Int8Block& x) {
  __m512i sums = _mm512_loadu_si512(x.start);
  sums = _mm512_dpbusd_epi32(sums, w.even, _mm512_loadu_si512(x.even));
  sums = _mm512_dpbusd_epi32(sums, w.odd, _mm512_loadu_si512(x.odd));
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), _mm512_mul_ps(w.scale, _mm512_loadu_ps(x.scale)), acc);
}

template <bool kPlain>
__m512 int8_row_times_token(const Int8Row& row, const Int8Block* x) {
  __m512 acc = _mm512_setzero_ps();
  const int64_t n_full = row.K / kInt8Block;
  for (int64_t block = 0; block < n_full; ++block) {
    fetch_line(row.data + 64 * block + kInt8FetchAhead);
    acc = add_block(acc, row.load<kPlain>(block), x[block]);
  }
  if (row.K % kInt8Block != 0) acc = add_block(acc, row.load_tail(n_full), x[n_full]);
  return acc;
}

// y[r] = w[row0 + r] . x for n rows, one after the other: blocks do not wait for each other, so one stream is enough.
inline void int8_rows_times_token(const Weight& w, int64_t row0, int64_t n, const Int8Block* x, float* y) {
  for (int64_t r = 0; r < n; ++r) {
    const Int8Row row = Int8Row::at(w, row0 + r);
    y[r] = sum_tree(row.is_plain ? int8_row_times_token<true>(row, x) : int8_row_times_token<false>(row, x));
  }
}

// 128 weights as the several-token product reads them.
struct alignas(64) Int8PanelBlock {
  uint8_t even[64];
  uint8_t odd[64];
  float scale[16];
};

// acc[t][r] += w[r] . x[t] over n blocks; the panel is [block][RR].
template <int TT, int RR>
void int8_tile(const Int8Block* const* x, int64_t block0, const Int8PanelBlock* panel, int64_t n, __m512* acc,
               int64_t acc_stride) {
  __m512 a[TT][RR];
  unrolled<TT>([&](auto t)
                   HADAL_INLINE { unrolled<RR>([&](auto r) HADAL_INLINE { a[t][r] = acc[t * acc_stride + r]; }); });
  for (int64_t block = 0; block < n; ++block, panel += RR) {
    Int8Weights w[RR];
    unrolled<RR>([&](auto r) HADAL_INLINE {
      w[r] = {_mm512_load_si512(panel[r].even), _mm512_load_si512(panel[r].odd), _mm512_load_ps(panel[r].scale)};
    });
    unrolled<TT>([&](auto t) HADAL_INLINE {
      const Int8Block& x_block = x[t][block0 + block];
      unrolled<RR>([&](auto r) HADAL_INLINE { a[t][r] = add_block(a[t][r], w[r], x_block); });
    });
  }
  unrolled<TT>([&](auto t)
                   HADAL_INLINE { unrolled<RR>([&](auto r) HADAL_INLINE { acc[t * acc_stride + r] = a[t][r]; }); });
}

template <int RR>
void int8_tile_of(int64_t tokens, const Int8Block* const* x, int64_t block0, const Int8PanelBlock* panel, int64_t n,
                  __m512* acc, int64_t acc_stride) {
  switch (tokens) {
    case 1:
      return int8_tile<1, RR>(x, block0, panel, n, acc, acc_stride);
    case 2:
      return int8_tile<2, RR>(x, block0, panel, n, acc, acc_stride);
    case 3:
      return int8_tile<3, RR>(x, block0, panel, n, acc, acc_stride);
    default:
      return int8_tile<4, RR>(x, block0, panel, n, acc, acc_stride);
  }
}

constexpr int64_t kInt8TileTokens = 4;
constexpr int64_t kInt8TileRows = 4;
// Blocks taken at once: 4 tokens x 8 x 256 B = 8 KiB and 4 rows x 8 x 192 B = 6 KiB share L1.
constexpr int64_t kInt8TileBlocks = 8;

// y[t][r] for n rows and all tokens of x.
inline void int8_rows_times_tokens(const Weight& w, int64_t row0, int64_t n, const Int8Block* const* x, int64_t T,
                                   float* y, int64_t y_stride) {
  const int64_t n_blocks = (w.cols + kInt8Block - 1) / kInt8Block;
  const int64_t n_full = w.cols / kInt8Block;
  auto* panel = reinterpret_cast<Int8PanelBlock*>(
      thread_scratch(ScratchUse::kPanel, static_cast<size_t>(n * n_blocks) * sizeof(Int8PanelBlock)));
  // Groups of four rows lie block by block, the rows that are left alone.
  const int64_t n_grouped = n / kInt8TileRows * kInt8TileRows;
  for (int64_t r = 0; r < n; ++r) {
    const Int8Row row = Int8Row::at(w, row0 + r);
    const int64_t in_group = r < n_grouped ? r % kInt8TileRows : 0;
    const int64_t stride = r < n_grouped ? kInt8TileRows : 1;
    Int8PanelBlock* out = panel + (r - in_group) * n_blocks + in_group;
    for (int64_t block = 0; block < n_blocks; ++block) {
      const Int8Weights weights = block == n_full ? row.load_tail(block)
                                  : row.is_plain  ? row.load<true>(block)
                                                  : row.load<false>(block);
      _mm512_store_si512(out[block * stride].even, weights.even);
      _mm512_store_si512(out[block * stride].odd, weights.odd);
      _mm512_store_ps(out[block * stride].scale, weights.scale);
    }
  }
  __m512 acc[kInt8TileTokens * kRowBlockMax];
  for (int64_t t = 0; t < T; t += kInt8TileTokens) {
    const int64_t tokens = std::min(kInt8TileTokens, T - t);
    std::fill_n(acc, kInt8TileTokens * kRowBlockMax, _mm512_setzero_ps());
    for (int64_t block = 0; block < n_blocks; block += kInt8TileBlocks) {
      const int64_t blocks = std::min(kInt8TileBlocks, n_blocks - block);
      int64_t r = 0;
      for (; r < n_grouped; r += kInt8TileRows) {
        int8_tile_of<kInt8TileRows>(tokens, x + t, block, panel + r * n_blocks + block * kInt8TileRows, blocks, acc + r,
                                    kRowBlockMax);
      }
      for (; r < n; ++r)
        int8_tile_of<1>(tokens, x + t, block, panel + r * n_blocks + block, blocks, acc + r, kRowBlockMax);
    }
    for (int64_t i = 0; i < tokens; ++i) {
      for (int64_t r = 0; r < n; ++r) y[(t + i) * y_stride + r] = sum_tree(acc[i * kRowBlockMax + r]);
    }
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
