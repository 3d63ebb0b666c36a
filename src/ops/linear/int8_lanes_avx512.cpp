// Block types times 8-bit activations by vpdpbusd. AVX-512 with VNNI; order as in int8_lanes.h.
//
// One token: a step of a row is taken apart in registers and multiplied at once. Several tokens: rows are taken apart
// into a panel that stays in L2, and four of them meet four tokens at a time.
#include <immintrin.h>

#include <algorithm>
#include <cmath>

#include "base/unrolled.h"
#include "ops/linear/block_rows.h"
#include "ops/linear/int8_rows.h"
#include "ops/linear/lane_registers_avx512.h"
#include "ops/simd_avx512.h"
#include "ops/thread_scratch.h"

namespace hadal::ops {
namespace {

__m512 lane_sums(const LaneRegisters& w, const Int8Lanes& x) {
  __m512i sums = _mm512_loadu_si512(x.start);
  unrolled<4>([&](auto m) HADAL_INLINE { sums = _mm512_dpbusd_epi32(sums, w.code[m], _mm512_loadu_si512(x.q[m])); });
  return _mm512_cvtepi32_ps(sums);
}

template <bool kHasOffsets>
__m512 add_step(__m512 acc, const LaneRegisters& w, const Int8Lanes& x) {
  acc = _mm512_fmadd_ps(lane_sums(w, x), _mm512_mul_ps(w.scale, _mm512_loadu_ps(x.scale)), acc);
  if constexpr (kHasOffsets) acc = _mm512_fmadd_ps(w.offset, _mm512_loadu_ps(x.minus_sum), acc);
  return acc;
}

// How far ahead of the multiplication a row's bytes are fetched, across the rows that follow.
constexpr int64_t kFetchAheadBytes = 8192;

template <class Reader>
void rows_times_token(const Weight& w, int64_t row0, int64_t n, const Int8Lanes* x, float* y) {
  const int64_t full = w.cols / kLaneStep;
  const int64_t row_bytes = w.row_bytes();
  for (int64_t r = 0; r < n; ++r) {
    const std::byte* row = w.data + (row0 + r) * row_bytes;
    __m512 acc = _mm512_setzero_ps();
    for (int64_t step = 0; step < full; ++step) {
      const std::byte* at = row + step * Reader::step_bytes();
      for (int64_t line = 0; line < Reader::step_bytes(); line += 64)
        _mm_prefetch(reinterpret_cast<const char*>(at + line + kFetchAheadBytes), _MM_HINT_T1);
      acc = add_step<Reader::has_offsets>(acc, load_step<Reader>(at), x[step]);
    }
    if (full * kLaneStep < w.cols) {
      const LaneRegisters tail = load_tail<Reader>(row + full * Reader::step_bytes(), w.cols - full * kLaneStep);
      acc = add_step<Reader::has_offsets>(acc, tail, x[full]);
    }
    y[r] = sum_tree(acc);
  }
}

// One step of a row in the panel.
struct alignas(64) PanelStep {
  uint8_t code[4][64];
  float scale[16];
  float offset[16];
};

constexpr int64_t kTileTokens = 4;
constexpr int64_t kTileRows = 4;
// 32 rows of 4,096 channels: 32 x 16 x 384 B = 192 KiB.
constexpr int64_t kPanelRows = 32;

// acc[t][r] over all steps; rows of the panel lie n_steps apart. TT x RR = 16 accumulators, 4 codes, scale and offset
// of one row: 22 of 32 registers.
template <int TT, int RR, bool kHasOffsets>
void tile(const PanelStep* panel, const Int8Lanes* const* x, int64_t n_steps, float* y, int64_t y_stride) {
  __m512 acc[TT][RR];
  unrolled<TT>([&](auto t)
                   HADAL_INLINE { unrolled<RR>([&](auto r) HADAL_INLINE { acc[t][r] = _mm512_setzero_ps(); }); });
  for (int64_t step = 0; step < n_steps; ++step) {
    unrolled<RR>([&](auto r) HADAL_INLINE {
      const PanelStep& at = panel[r * n_steps + step];
      LaneRegisters w;
      unrolled<4>([&](auto m) HADAL_INLINE { w.code[m] = _mm512_load_si512(at.code[m]); });
      w.scale = _mm512_load_ps(at.scale);
      if constexpr (kHasOffsets) w.offset = _mm512_load_ps(at.offset);
      unrolled<TT>([&](auto t) HADAL_INLINE { acc[t][r] = add_step<kHasOffsets>(acc[t][r], w, x[t][step]); });
    });
  }
  unrolled<TT>([&](auto t) HADAL_INLINE {
    unrolled<RR>([&](auto r) HADAL_INLINE { y[t * y_stride + r] = sum_tree(acc[t][r]); });
  });
}

template <int RR, bool kHasOffsets>
void tile_of(int64_t tokens, const PanelStep* panel, const Int8Lanes* const* x, int64_t n_steps, float* y,
             int64_t y_stride) {
  switch (tokens) {
    case 1:
      return tile<1, RR, kHasOffsets>(panel, x, n_steps, y, y_stride);
    case 2:
      return tile<2, RR, kHasOffsets>(panel, x, n_steps, y, y_stride);
    case 3:
      return tile<3, RR, kHasOffsets>(panel, x, n_steps, y, y_stride);
    default:
      return tile<4, RR, kHasOffsets>(panel, x, n_steps, y, y_stride);
  }
}

template <class Reader>
void store_step(const LaneRegisters& w, PanelStep& out) {
  unrolled<4>([&](auto m) HADAL_INLINE { _mm512_store_si512(out.code[m], w.code[m]); });
  _mm512_store_ps(out.scale, w.scale);
  if constexpr (Reader::has_offsets) _mm512_store_ps(out.offset, w.offset);
}

template <class Reader>
void rows_times_tokens(const Weight& w, int64_t row0, int64_t n, const Int8Lanes* const* x, int64_t T, float* y,
                       int64_t y_stride) {
  const int64_t n_steps = (w.cols + kLaneStep - 1) / kLaneStep;
  const int64_t full = w.cols / kLaneStep;
  auto* panel = reinterpret_cast<PanelStep*>(
      thread_scratch(ScratchUse::kPanel, static_cast<size_t>(std::min(n, kPanelRows) * n_steps) * sizeof(PanelStep)));
  for (int64_t first = 0; first < n; first += kPanelRows) {
    const int64_t rows = std::min(kPanelRows, n - first);
    for (int64_t r = 0; r < rows; ++r) {
      const std::byte* row = w.data + (row0 + first + r) * w.row_bytes();
      for (int64_t step = 0; step < full; ++step)
        store_step<Reader>(load_step<Reader>(row + step * Reader::step_bytes()), panel[r * n_steps + step]);
      if (full < n_steps) {
        const LaneRegisters tail = load_tail<Reader>(row + full * Reader::step_bytes(), w.cols - full * kLaneStep);
        store_step<Reader>(tail, panel[r * n_steps + full]);
      }
    }
    for (int64_t t = 0; t < T; t += kTileTokens) {
      const int64_t tokens = std::min(kTileTokens, T - t);
      float* out = y + t * y_stride + first;
      int64_t r = 0;
      for (; r + kTileRows <= rows; r += kTileRows)
        tile_of<kTileRows, Reader::has_offsets>(tokens, panel + r * n_steps, x + t, n_steps, out + r, y_stride);
      for (; r < rows; ++r)
        tile_of<1, Reader::has_offsets>(tokens, panel + r * n_steps, x + t, n_steps, out + r, y_stride);
    }
  }
}

}  // namespace

void int8_lanes_row_block_avx512(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y,
                                 int64_t y_stride) {
  const auto* rows = reinterpret_cast<const Int8Lanes* const*>(x.rows);
  visit_step_reader(w.dtype, [&](auto reader) {
    using Reader = decltype(reader);
    if (x.T == 1) return rows_times_token<Reader>(w, row0, n, rows[0], y);
    rows_times_tokens<Reader>(w, row0, n, rows, x.T, y, y_stride);
  });
}

void pack_int8_lanes_avx512(const float* x, Int8Lanes& out) {
  const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
  for (int64_t scaled = 0; scaled < kLaneStep; scaled += kLaneScaled) {
    const __m512 v[2] = {_mm512_loadu_ps(x + scaled), _mm512_loadu_ps(x + scaled + 16)};
    const Int8Scale scale =
        int8_scale(_mm512_reduce_max_epu32(_mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(v[0]), magnitude),
                                                            _mm512_and_si512(_mm512_castps_si512(v[1]), magnitude))));
    const __mmask16 all = scale.is_finite ? 0xFFFF : 0;
    for (int64_t i = 0; i < 2; ++i) {
      const __m512i q = _mm512_maskz_cvtps_epi32(all, _mm512_mul_ps(v[i], _mm512_set1_ps(scale.inverse)));
      alignas(16) int8_t bytes[16];
      _mm_store_si128(reinterpret_cast<__m128i*>(bytes), _mm512_cvtsepi32_epi8(q));
      const int64_t lane = lane_of(scaled / kLaneChannels + i);
      for (int64_t m = 0; m < 4; ++m) std::memcpy(out.q[m] + 4 * lane, bytes + 4 * m, 4);
      const int32_t sum = _mm512_reduce_add_epi32(q);
      out.start[lane] = -kLaneOffset * sum;
      out.scale[lane] = 2 * scale.half;
      out.minus_sum[lane] = -out.scale[lane] * static_cast<float>(sum);
    }
  }
}

}  // namespace hadal::ops
