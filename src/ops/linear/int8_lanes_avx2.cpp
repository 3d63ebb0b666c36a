// Block types times 8-bit activations on AVX2: a row is taken apart once and meets all tokens.
//
// Products of two bytes are added in pairs in 16 bits: a magnitude of at most 128 times 127, twice, fits. So the
// weight's magnitude is multiplied with the activation under the weight's sign.
#include <immintrin.h>

#include "ops/linear/block_rows.h"
#include "ops/linear/lane_codes.h"
#include "ops/simd_avx2.h"
#include "ops/thread_scratch.h"

namespace hadal::ops {
namespace {

// One step of a row in the order of Int8Lanes.
struct alignas(64) PanelStep {
  int8_t code[4][64];
  float scale[16];
  float offset[16];
};

__m256i load(const void* at) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(at));
}

// Four registers of 32 codes, two 16-channel groups each -> out_m: bytes 4m .. 4m + 3 of every group.
void transpose(const int8_t* code, int64_t half, PanelStep& out) {
  // Groups 0, 1, 4, 5, ... are the lower eight lanes, the others the upper ones.
  __m256i v[4];
  for (int64_t i = 0; i < 4; ++i) v[i] = load(code + 64 * i + 32 * half);
  const __m256i a = _mm256_unpacklo_epi32(v[0], v[1]);
  const __m256i b = _mm256_unpackhi_epi32(v[0], v[1]);
  const __m256i c = _mm256_unpacklo_epi32(v[2], v[3]);
  const __m256i d = _mm256_unpackhi_epi32(v[2], v[3]);
  const __m256i m[4] = {_mm256_unpacklo_epi64(a, c), _mm256_unpackhi_epi64(a, c), _mm256_unpacklo_epi64(b, d),
                        _mm256_unpackhi_epi64(b, d)};
  for (int64_t i = 0; i < 4; ++i) _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.code[i] + 32 * half), m[i]);
}

// The eight lane sums of one half.
__m256 lane_sums(const PanelStep& w, const Int8Lanes& x, int64_t half) {
  __m256i sums = _mm256_setzero_si256();
  for (int64_t m = 0; m < 4; ++m) {
    const __m256i code = load(w.code[m] + 32 * half);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(code), _mm256_sign_epi8(load(x.q[m] + 32 * half), code));
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  return _mm256_cvtepi32_ps(sums);
}

template <bool kHasOffsets>
float row_times_token(const PanelStep* w, const Int8Lanes* x, int64_t n_steps) {
  __m256 acc[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (int64_t step = 0; step < n_steps; ++step) {
    for (int64_t half = 0; half < 2; ++half) {
      const __m256 scale =
          _mm256_mul_ps(_mm256_loadu_ps(w[step].scale + 8 * half), _mm256_loadu_ps(x[step].scale + 8 * half));
      acc[half] = _mm256_fmadd_ps(lane_sums(w[step], x[step], half), scale, acc[half]);
      if constexpr (kHasOffsets) {
        acc[half] = _mm256_fmadd_ps(_mm256_loadu_ps(w[step].offset + 8 * half),
                                    _mm256_loadu_ps(x[step].minus_sum + 8 * half), acc[half]);
      }
    }
  }
  return sum_tree(acc[0], acc[1]);
}

}  // namespace

void int8_lanes_row_block_avx2(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y,
                               int64_t y_stride) {
  const int64_t n_steps = (w.cols + kLaneStep - 1) / kLaneStep;
  auto* panel = reinterpret_cast<PanelStep*>(
      thread_scratch(ScratchUse::kDecoded, static_cast<size_t>(n_steps) * sizeof(PanelStep)));
  visit_step_reader(w.dtype, [&](auto reader) {
    using Reader = decltype(reader);
    LaneCodes codes;
    for (int64_t r = 0; r < n; ++r) {
      for (int64_t step = 0; step < n_steps; ++step) {
        Reader::read(Reader::at(w, row0 + r, step), w.cols - step * kLaneStep, codes);
        transpose(codes.code, 0, panel[step]);
        transpose(codes.code, 1, panel[step]);
        std::memcpy(panel[step].scale, codes.scale, sizeof codes.scale);
        if constexpr (Reader::has_offsets) std::memcpy(panel[step].offset, codes.offset, sizeof codes.offset);
      }
      for (int64_t t = 0; t < x.T; ++t) {
        y[t * y_stride + r] =
            row_times_token<Reader::has_offsets>(panel, reinterpret_cast<const Int8Lanes*>(x.rows[t]), n_steps);
      }
    }
  });
}

}  // namespace hadal::ops
