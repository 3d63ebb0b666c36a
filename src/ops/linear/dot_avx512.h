// The two inner products: BF16 words by vdpbf16ps and floats by FMA, one chain over k per output, for one token
// straight from the stored rows, for several tokens from a panel of widened rows.
//
// Both walk k in the same steps with one accumulator, so a token gets the same bits alone and among others.
#pragma once

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
  static __m512 add(__m512 acc, Vector w, Vector x) { return _mm512_dpbf16_ps(acc, (__m512bh)w, (__m512bh)x); }

  static __m512 add64(__m512 acc, const Words64& w, const Number* x) {
    return add(add(acc, w.low, load(x)), w.high, load(x + 32));
  }
  static void store64(const Words64& w, Number* out, int64_t step_stride) {
    _mm512_storeu_si512(out, w.low);
    _mm512_storeu_si512(out + step_stride, w.high);
  }
  // x * 2^e; exact unless it leaves the range of BF16.
  static void scale16(const Number* x, float scale, Number* out) {
    const __m512 v =
        _mm512_mul_ps(widen_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x))), _mm512_set1_ps(scale));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(v), 16)));
  }
};

struct F32Dot {
  using Number = float;
  static constexpr int64_t kStep = 16;
  using Vector = __m512;
  static Vector load(const Number* p) { return _mm512_loadu_ps(p); }
  static __m512 add(__m512 acc, Vector w, Vector x) { return _mm512_fmadd_ps(w, x, acc); }

  static __m512 add64(__m512 acc, const Floats64& w, const Number* x) {
    unrolled<4>([&](auto i) HADAL_INLINE { acc = add(acc, w.v[i], load(x + 16 * i)); });
    return acc;
  }
  static void store64(const Floats64& w, Number* out, int64_t step_stride) {
    unrolled<4>([&](auto i) HADAL_INLINE { _mm512_storeu_ps(out + i * step_stride, w.v[i]); });
  }
  static void scale16(const Number* x, float scale, Number* out) {
    _mm512_storeu_ps(out, _mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(scale)));
  }
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

// acc[t][r] += w[r] . x[t] over n numbers. TT x RR accumulators: 6 x 4 = 24 of 32 registers, 4 weights, 1 activation.
template <class Dot, int TT, int RR>
void tile(const Interleaved<typename Dot::Number>& x, const Interleaved<typename Dot::Number>& w, int64_t n,
          __m512* acc, int64_t acc_stride) {
  __m512 a[TT][RR];
  unrolled<TT>([&](auto t)
                   HADAL_INLINE { unrolled<RR>([&](auto r) HADAL_INLINE { a[t][r] = acc[t * acc_stride + r]; }); });
  const typename Dot::Number* x_at = x.at;
  const typename Dot::Number* w_at = w.at;
  for (int64_t k = 0; k < n; k += Dot::kStep) {
    typename Dot::Vector wv[RR];
    unrolled<RR>([&](auto r) HADAL_INLINE { wv[r] = Dot::load(w_at + r * w.row_stride); });
    unrolled<TT>([&](auto t) HADAL_INLINE {
      const typename Dot::Vector xv = Dot::load(x_at + t * x.row_stride);
      unrolled<RR>([&](auto r) HADAL_INLINE { a[t][r] = Dot::add(a[t][r], wv[r], xv); });
    });
    x_at += x.step_stride;
    w_at += w.step_stride;
  }
  unrolled<TT>([&](auto t)
                   HADAL_INLINE { unrolled<RR>([&](auto r) HADAL_INLINE { acc[t * acc_stride + r] = a[t][r]; }); });
}

template <class Dot, int RR>
void tile_of(int64_t tokens, const Interleaved<typename Dot::Number>& x, const Interleaved<typename Dot::Number>& w,
             int64_t n, __m512* acc, int64_t acc_stride) {
  switch (tokens) {
    case 1:
      return tile<Dot, 1, RR>(x, w, n, acc, acc_stride);
    case 2:
      return tile<Dot, 2, RR>(x, w, n, acc, acc_stride);
    case 3:
      return tile<Dot, 3, RR>(x, w, n, acc, acc_stride);
    case 4:
      return tile<Dot, 4, RR>(x, w, n, acc, acc_stride);
    case 5:
      return tile<Dot, 5, RR>(x, w, n, acc, acc_stride);
    default:
      return tile<Dot, 6, RR>(x, w, n, acc, acc_stride);
  }
}

constexpr int64_t kTileTokens = 6;
constexpr int64_t kTileRows = 4;
// Rows whose accumulators wait in memory while k goes on.
constexpr int64_t kPanelRows = 16;
// Numbers of k taken at once: 6 tokens x 1024 x 2 B = 12 KiB of activations stay in the 32 KiB of L1 while 16 rows
// pass; the accumulators go to memory between (6 %).
constexpr int64_t kTileK = 1024;

// y[t][r] = w[r] . x[t]; tokens <= 6, n <= 16 rows. Row r of w lies at w_at(r): groups of four rows are interleaved.
template <class Dot, class RowAt>
void panel_times_tokens(const RowAt& w_at, int64_t n, const Interleaved<typename Dot::Number>& x, int64_t tokens,
                        int64_t k_padded, float* y, int64_t y_stride) {
  using Operand = Interleaved<typename Dot::Number>;
  __m512 acc[kTileTokens * kPanelRows];
  for (int64_t i = 0; i < kTileTokens * kPanelRows; ++i) acc[i] = _mm512_setzero_ps();
  for (int64_t k = 0; k < k_padded; k += kTileK) {
    const int64_t numbers = std::min(kTileK, k_padded - k);
    const Operand x_k{x.at + k / Dot::kStep * x.step_stride, x.row_stride, x.step_stride};
    const auto w_k = [&](int64_t r) {
      const Operand w = w_at(r);
      return Operand{w.at + k / Dot::kStep * w.step_stride, w.row_stride, w.step_stride};
    };
    int64_t r = 0;
    for (; r + kTileRows <= n; r += kTileRows) {
      tile_of<Dot, kTileRows>(tokens, x_k, w_k(r), numbers, acc + r, kPanelRows);
    }
    for (; r < n; ++r) tile_of<Dot, 1>(tokens, x_k, w_k(r), numbers, acc + r, kPanelRows);
  }
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t r = 0; r < n; ++r) y[t * y_stride + r] = sum_tree(acc[t * kPanelRows + r]);
  }
}

}  // namespace
}  // namespace hadal::ops
