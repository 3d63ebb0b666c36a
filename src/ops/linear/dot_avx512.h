// The two inner products: BF16 words by vdpbf16ps and floats by FMA, one chain over k per output, for one token
// straight from the stored rows, for several tokens from a panel of widened rows.
//
// Both walk k in the same steps with one accumulator, so a token gets the same bits alone and among others.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/unrolled.h"
#include "ops/linear/linear.h"
#include "ops/linear/weight_rows_avx512.h"

namespace hadal::ops {
namespace {

// One step of a chain: kStep products of kStep activations x with weights w.
struct Bf16Dot {
  using Number = uint16_t;
  static constexpr int64_t kStep = 32;
  using Vector = __m512i;
  static Vector load(const Number* p) { return _mm512_loadu_si512(p); }
  static void store(Number* p, Vector v) { _mm512_storeu_si512(p, v); }
  static __m512 add(__m512 acc, Vector w, Vector x) { return _mm512_dpbf16_ps(acc, (__m512bh)w, (__m512bh)x); }

  static __m512 add64(__m512 acc, const Words64& w, const Number* x) {
    return add(add(acc, w.low, load(x)), w.high, load(x + 32));
  }
  static void store64(const Words64& w, Number* out, int64_t step_stride) {
    _mm512_storeu_si512(out, w.low);
    _mm512_storeu_si512(out + step_stride, w.high);
  }
  // x times a power of two, exact unless it leaves the range of BF16: where neither does, by an addition to exponents.
  class Scale {
   public:
    explicit Scale(float factor) : factor_(_mm512_set1_ps(factor)), is_normal_(std::isnormal(factor)) {
      const int shift = (static_cast<int>(std::bit_cast<uint32_t>(factor) >> 23) - 127) * 0x80;
      const int least = std::max(0x80, 0x80 - shift);  // magnitudes that stay normal
      const int most = std::min(0x7F7F, 0x7F7F - shift);
      shift_ = _mm512_set1_epi16(static_cast<int16_t>(shift));
      least_ = _mm512_set1_epi16(static_cast<int16_t>(least));
      range_ = _mm512_set1_epi16(static_cast<int16_t>(most - least));
    }
    Vector times(Vector x) const {
      const __m512i magnitude = _mm512_and_si512(x, _mm512_set1_epi16(0x7FFF));
      const __mmask32 is_number = _mm512_test_epi16_mask(magnitude, magnitude);
      const __mmask32 stays = _mm512_cmple_epu16_mask(_mm512_sub_epi16(magnitude, least_), range_);
      if (is_normal_ && (is_number & ~stays) == 0) [[likely]]
        return _mm512_mask_add_epi16(x, is_number, x, shift_);
      return _mm512_inserti64x4(_mm512_castsi256_si512(times_half(_mm512_castsi512_si256(x))),
                                times_half(_mm512_extracti64x4_epi64(x, 1)), 1);
    }

   private:
    __m256i times_half(__m256i x) const {
      return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(_mm512_mul_ps(widen_bf16(x), factor_)), 16));
    }
    __m512 factor_;
    bool is_normal_;
    __m512i shift_, least_, range_;
  };
};

struct F32Dot {
  using Number = float;
  static constexpr int64_t kStep = 16;
  using Vector = __m512;
  static Vector load(const Number* p) { return _mm512_loadu_ps(p); }
  static void store(Number* p, Vector v) { _mm512_storeu_ps(p, v); }
  static __m512 add(__m512 acc, Vector w, Vector x) { return _mm512_fmadd_ps(w, x, acc); }

  static __m512 add64(__m512 acc, const Floats64& w, const Number* x) {
    unrolled<4>([&](auto i) HADAL_INLINE { acc = add(acc, w.v[i], load(x + 16 * i)); });
    return acc;
  }
  static void store64(const Floats64& w, Number* out, int64_t step_stride) {
    unrolled<4>([&](auto i) HADAL_INLINE { _mm512_storeu_ps(out + i * step_stride, w.v[i]); });
  }
  struct Scale {
    explicit Scale(float scale) : factor(_mm512_set1_ps(scale)) {}
    Vector times(Vector x) const { return _mm512_mul_ps(x, factor); }
    __m512 factor;
  };
};

// How far ahead of the multiplication weights are fetched into L2, in bytes at least: the time that memory takes at
// 40 GB/s, twice. Hardware prefetchers alone stop at page borders, and a row is about a page.
constexpr int64_t kFetchAhead = 8192;

// y[r] = sum_k w[row0 + r][k] x[k] for n rows. Four rows side by side hide the latency of the chains; what is fetched
// for them are the same places of four rows further on.
template <class Dot, class Row>
void rows_times_token(const Weight& w, int64_t row0, int64_t n, const typename Dot::Number* x, float* y) {
  constexpr int kRows = 4;
  const int64_t K = w.cols;
  const int64_t K_full = K / 64 * 64;
  const int64_t group_bytes = kRows * w.row_bytes();
  const int64_t ahead = (kFetchAhead + group_bytes - 1) / group_bytes * group_bytes;
  int64_t r = 0;
  for (; r + kRows <= n; r += kRows) {
    const Row row_0 = Row::at(w, row0 + r);
    const Row row_1 = Row::at(w, row0 + r + 1);
    const Row row_2 = Row::at(w, row0 + r + 2);
    const Row row_3 = Row::at(w, row0 + r + 3);
    __m512 acc_0 = _mm512_setzero_ps();
    __m512 acc_1 = acc_0;
    __m512 acc_2 = acc_0;
    __m512 acc_3 = acc_0;
    for (int64_t k = 0; k < K_full; k += 64) {
      row_0.fetch(k, ahead);
      row_1.fetch(k, ahead);
      row_2.fetch(k, ahead);
      row_3.fetch(k, ahead);
      acc_0 = Dot::add64(acc_0, row_0.load(k), x + k);
      acc_1 = Dot::add64(acc_1, row_1.load(k), x + k);
      acc_2 = Dot::add64(acc_2, row_2.load(k), x + k);
      acc_3 = Dot::add64(acc_3, row_3.load(k), x + k);
    }
    if (K_full < K) {
      acc_0 = Dot::add64(acc_0, row_0.load_tail(K_full, K - K_full), x + K_full);
      acc_1 = Dot::add64(acc_1, row_1.load_tail(K_full, K - K_full), x + K_full);
      acc_2 = Dot::add64(acc_2, row_2.load_tail(K_full, K - K_full), x + K_full);
      acc_3 = Dot::add64(acc_3, row_3.load_tail(K_full, K - K_full), x + K_full);
    }
    y[r] = sum_tree(acc_0);
    y[r + 1] = sum_tree(acc_1);
    y[r + 2] = sum_tree(acc_2);
    y[r + 3] = sum_tree(acc_3);
  }
  for (; r < n; ++r) {
    const Row row = Row::at(w, row0 + r);
    __m512 acc = _mm512_setzero_ps();
    for (int64_t k = 0; k < K_full; k += 64) acc = Dot::add64(acc, row.load(k), x + k);
    if (K_full < K) acc = Dot::add64(acc, row.load_tail(K_full, K - K_full), x + K_full);
    y[r] = sum_tree(acc);
  }
}

// Rows and tokens of a product with several tokens lie side by side, a step of each in turn: [k / kStep][rows][kStep].
// Side by side, because rows that follow each other at a distance of 4 or 8 KiB would share one set of the L1 cache.
template <class Number>
struct Interleaved {
  const Number* at;
  int64_t row_stride;
  int64_t step_stride;
};

// One stored row as numbers of the product's type, zeros behind its end; steps lie step_stride numbers apart.
template <class Dot, class Row>
void widen_row(const Row& row, int64_t K, typename Dot::Number* out, int64_t step_stride) {
  const int64_t K_full = K / 64 * 64;
  const int64_t stride = step_stride / Dot::kStep;
  for (int64_t k = 0; k < K_full; k += 64) Dot::store64(row.load(k), out + k * stride, step_stride);
  if (K_full < K) Dot::store64(row.load_tail(K_full, K - K_full), out + K_full * stride, step_stride);
}

// y[t][r] = w[r] . x[t] over all of K. TT x RR accumulators: 6 x 4 = 24 of 32 registers, 4 weights, 1 activation. They
// stay in registers from end to end: taking K in pieces that fit L1 costs more for accumulators that come and go (10 to
// 20 %) than activations and weights cost that come from L2, where they are read in order.
template <class Dot, int TT, int RR>
void tile(const Interleaved<typename Dot::Number>& x, const Interleaved<typename Dot::Number>& w, int64_t k_padded,
          float* y, int64_t y_stride) {
  __m512 acc[TT][RR];
  unrolled<TT>([&](auto t)
                   HADAL_INLINE { unrolled<RR>([&](auto r) HADAL_INLINE { acc[t][r] = _mm512_setzero_ps(); }); });
  const typename Dot::Number* x_at = x.at;
  const typename Dot::Number* w_at = w.at;
  for (int64_t k = 0; k < k_padded; k += Dot::kStep) {
    typename Dot::Vector wv[RR];
    unrolled<RR>([&](auto r) HADAL_INLINE { wv[r] = Dot::load(w_at + r * w.row_stride); });
    unrolled<TT>([&](auto t) HADAL_INLINE {
      const typename Dot::Vector xv = Dot::load(x_at + t * x.row_stride);
      unrolled<RR>([&](auto r) HADAL_INLINE { acc[t][r] = Dot::add(acc[t][r], wv[r], xv); });
    });
    x_at += x.step_stride;
    w_at += w.step_stride;
  }
  unrolled<TT>([&](auto t) HADAL_INLINE {
    unrolled<RR>([&](auto r) HADAL_INLINE { y[t * y_stride + r] = sum_tree(acc[t][r]); });
  });
}

constexpr int64_t kTileTokens = 6;
constexpr int64_t kTileRows = 4;

template <class Dot, int RR>
void tile_of(int64_t tokens, const Interleaved<typename Dot::Number>& x, const Interleaved<typename Dot::Number>& w,
             int64_t k_padded, float* y, int64_t y_stride) {
  switch (tokens) {
    case 1:
      return tile<Dot, 1, RR>(x, w, k_padded, y, y_stride);
    case 2:
      return tile<Dot, 2, RR>(x, w, k_padded, y, y_stride);
    case 3:
      return tile<Dot, 3, RR>(x, w, k_padded, y, y_stride);
    case 4:
      return tile<Dot, 4, RR>(x, w, k_padded, y, y_stride);
    case 5:
      return tile<Dot, 5, RR>(x, w, k_padded, y, y_stride);
    default:
      return tile<Dot, 6, RR>(x, w, k_padded, y, y_stride);
  }
}

// Tokens that pass a panel together: two tiles of them, so that four rows come from L2 or L3 once for both.
constexpr int64_t kPassTokens = 2 * kTileTokens;

// The tokens of a pass, interleaved tile by tile.
template <class Dot>
struct Pass {
  typename Dot::Number* at;  // [tokens, k_padded]
  int64_t tokens;
  int64_t k_padded;

  int64_t tile_tokens(int64_t t) const { return std::min(kTileTokens, tokens - t / kTileTokens * kTileTokens); }
  typename Dot::Number* token(int64_t t) const {
    return at + t / kTileTokens * kTileTokens * k_padded + t % kTileTokens * Dot::kStep;
  }
  int64_t step_stride(int64_t t) const { return tile_tokens(t) * Dot::kStep; }
};

// y[t][r] = w[r] . x[t] for the tokens of a pass and n rows. Row r of w lies at w_at(r): groups of kTileRows rows are
// interleaved.
template <class Dot, class RowAt>
void rows_times_pass(const RowAt& w_at, int64_t n, const Pass<Dot>& x, float* y, int64_t y_stride) {
  const auto tiles = [&]<int RR>(int64_t r) {
    for (int64_t t = 0; t < x.tokens; t += kTileTokens) {
      tile_of<Dot, RR>(x.tile_tokens(t), {x.token(t), Dot::kStep, x.step_stride(t)}, w_at(r), x.k_padded,
                       y + t * y_stride + r, y_stride);
    }
  };
  int64_t r = 0;
  for (; r + kTileRows <= n; r += kTileRows) tiles.template operator()<kTileRows>(r);
  for (; r < n; ++r) tiles.template operator()<1>(r);
}

}  // namespace
}  // namespace hadal::ops
