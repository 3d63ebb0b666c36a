// linear on AVX2 with FMA and F16C: a stored row is widened to floats once and meets every token.
//
// Lanes and tree are those of a 16-lane sum, one chain over k.

#include <algorithm>
#include <cstring>

#include "ops/linear/block_rows.h"
#include "ops/linear/int8_rows.h"
#include "ops/linear/linear_kernels.h"
#include "ops/simd_avx2.h"
#include "ops/thread_scratch.h"

namespace hadal::ops {
namespace {

__m256 bf16_at(const std::byte* p) {
  const __m256i words = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16));
}

// E4M3 is F16 with a smaller exponent field: shifted into place it is the value times 2^-8, subnormals included.
__m256 e4m3_at(const std::byte* p) {
  const __m128i words = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  const __m128i sign = _mm_slli_epi16(_mm_and_si128(words, _mm_set1_epi16(0x80)), 8);
  const __m128i magnitude = _mm_slli_epi16(_mm_and_si128(words, _mm_set1_epi16(0x7F)), 7);
  return _mm256_mul_ps(_mm256_cvtph_ps(_mm_or_si128(sign, magnitude)), _mm256_set1_ps(256.0f));
}

// Eight codes of four bytes, the even element in the low nibble: twice the value is a small integer.
__m256 e2m1_at(const std::byte* p) {
  int32_t four;
  std::memcpy(&four, p, 4);
  const __m128i bytes = _mm_cvtsi32_si128(four);
  const __m128i low = _mm_and_si128(bytes, _mm_set1_epi8(15));
  const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
  const __m128i twice = _mm_shuffle_epi8(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12),
                                         _mm_unpacklo_epi8(low, high));
  return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(twice)), _mm256_set1_ps(0.5f));
}

float scale_at(const Weight& w, int64_t row, int64_t col) {
  const int64_t index = row / w.scale_rows * w.scale_stride() + col / w.scale_cols;
  if (w.scale_dtype == DType::kF32) return reinterpret_cast<const float*>(w.scale)[index];
  return e8m0_to_f32(static_cast<uint8_t>(w.scale[index]));
}

void widen_row(const Weight& w, int64_t row, int64_t k_padded, float* out) {
  const std::byte* data = w.data + row * w.row_bytes();
  int64_t k = 0;
  for (; k + 8 <= w.cols; k += 8) {
    __m256 v = _mm256_setzero_ps();
    switch (w.dtype) {
      case DType::kF32:
        v = _mm256_loadu_ps(reinterpret_cast<const float*>(data) + k);
        break;
      case DType::kF16:
        v = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data + 2 * k)));
        break;
      case DType::kBF16:
        v = bf16_at(data + 2 * k);
        break;
      case DType::kF8E4M3:
        v = e4m3_at(data + k);
        break;
      case DType::kF4E2M1:
        v = e2m1_at(data + k / 2);
        break;
      default:
        HADAL_CHECK(false, "no matrix of this dtype", dtype_name(w.dtype));
    }
    if (w.scale != nullptr) v = _mm256_mul_ps(v, _mm256_set1_ps(scale_at(w, row, k)));
    _mm256_storeu_ps(out + k, v);
  }
  for (; k < w.cols; ++k) out[k] = weight_at(w, row, k);
  for (; k < k_padded; ++k) out[k] = 0;
}

float dot(const float* w, const TokenRows& x, int64_t t, int64_t k_padded) {
  __m256 low = _mm256_setzero_ps();
  __m256 high = _mm256_setzero_ps();
  if (x.format == RowFormat::kF32) {
    const auto* token = reinterpret_cast<const float*>(x.rows[t]);
    for (int64_t k = 0; k < k_padded; k += 16) {
      low = _mm256_fmadd_ps(_mm256_loadu_ps(w + k), _mm256_loadu_ps(token + k), low);
      high = _mm256_fmadd_ps(_mm256_loadu_ps(w + k + 8), _mm256_loadu_ps(token + k + 8), high);
    }
  } else {
    for (int64_t k = 0; k < k_padded; k += 16) {
      low = _mm256_fmadd_ps(_mm256_loadu_ps(w + k), bf16_at(x.rows[t] + 2 * k), low);
      high = _mm256_fmadd_ps(_mm256_loadu_ps(w + k + 8), bf16_at(x.rows[t] + 2 * k + 16), high);
    }
  }
  return sum_tree(low, high);
}

// 32 channels of an Int8Block with their weights: the eight integer sums of int8_rows.h's lanes, four channels apart in
// each half. The low lanes of the block come from bytes 0..31, the high ones from bytes 32..63.
__m256i int8_sums(__m256i pairs, const Int8Block& x, int64_t byte) {
  const __m256i table =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i even = _mm256_shuffle_epi8(table, _mm256_and_si256(pairs, nibble));
  const __m256i odd = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(pairs, 4), nibble));
  // Pairs of 24 * 127 stay within 16 bits.
  const auto* x_even = reinterpret_cast<const __m256i*>(x.even + byte);
  const auto* x_odd = reinterpret_cast<const __m256i*>(x.odd + byte);
  const __m256i words = _mm256_add_epi16(_mm256_maddubs_epi16(even, _mm256_loadu_si256(x_even)),
                                         _mm256_maddubs_epi16(odd, _mm256_loadu_si256(x_odd)));
  const __m256i start = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.start + byte / 4));
  return _mm256_add_epi32(start, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
}

// The order of int8_rows.h with two registers of eight lanes.
float int8_dot(const Weight& w, int64_t row, const Int8Block* x) {
  const std::byte* data = w.data + row * w.row_bytes();
  __m256 low = _mm256_setzero_ps();
  __m256 high = _mm256_setzero_ps();
  for (int64_t k = 0; k < w.cols; k += kInt8Block) {
    const int64_t n = std::min(kInt8Block, w.cols - k);
    alignas(32) std::byte pairs[64] = {};
    std::memcpy(pairs, data + k / 2, static_cast<size_t>(n / 2));
    alignas(32) float scale[16];
    for (int64_t lane = 0; lane < 16; ++lane) {
      scale[lane] = lane * 8 < n
                        ? int8_weight_scale(static_cast<uint8_t>(w.scale[row * w.scale_stride() + (k + lane * 8) / 32]))
                        : 1.0f;
    }
    const Int8Block& block = x[k / kInt8Block];
    const auto add = [&](__m256 acc, int64_t half) {
      const __m256i sums =
          int8_sums(_mm256_load_si256(reinterpret_cast<const __m256i*>(pairs + 32 * half)), block, 32 * half);
      return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums),
                             _mm256_mul_ps(_mm256_load_ps(scale + 8 * half), _mm256_loadu_ps(block.scale + 8 * half)),
                             acc);
    };
    low = add(low, 0);
    high = add(high, 1);
  }
  return sum_tree(low, high);
}

}  // namespace

void row_block_avx2(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y, int64_t y_stride) {
  if (x.format == RowFormat::kInt8) {
    for (int64_t t = 0; t < x.T; ++t) {
      const auto* token = reinterpret_cast<const Int8Block*>(x.rows[t]);
      for (int64_t r = 0; r < n; ++r) y[t * y_stride + r] = int8_dot(w, row0 + r, token);
    }
    return;
  }
  if (x.format == RowFormat::kInt8Lanes) return int8_lanes_row_block_avx2(w, row0, n, x, y, y_stride);
  if (is_block_type(w.dtype)) return decoded_row_block(row_block_avx2, w, row0, n, x, y, y_stride);
  const int64_t k_padded = (w.cols + 63) / 64 * 64;
  auto* row =
      reinterpret_cast<float*>(thread_scratch(ScratchUse::kPanel, static_cast<size_t>(k_padded) * sizeof(float)));
  for (int64_t r = 0; r < n; ++r) {
    widen_row(w, row0 + r, k_padded, row);
    for (int64_t t = 0; t < x.T; ++t) y[t * y_stride + r] = dot(row, x, t, k_padded);
  }
}

}  // namespace hadal::ops
