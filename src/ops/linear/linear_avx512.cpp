// linear on AVX-512 with VBMI and BF16 (Zen 4, Sapphire Rapids and later).
//
// One token: rows are widened in registers and multiplied at once; bound by memory. Several tokens: a task's
// rows are widened into a panel that meets six tokens at a time; bound by the FMA or vdpbf16ps units.

#include <algorithm>
#include <bit>

#include "ops/linear/block_rows.h"
#include "ops/linear/dot_avx512.h"
#include "ops/linear/int8_avx512.h"
#include "ops/linear/linear_kernels.h"
#include "ops/thread_scratch.h"

namespace hadal::ops {
namespace {

// Scale `block` of the rows at `row`.
float scale_of(const Weight& w, int64_t row, int64_t block) {
  const int64_t index = row / w.scale_rows * w.scale_stride() + block;
  if (w.scale_dtype == DType::kF32) return reinterpret_cast<const float*>(w.scale)[index];
  const auto code = static_cast<uint8_t>(w.scale[index]);
  // 2^(code - 127): the code is a float's exponent field, but for the two codes that are no normal number.
  if (code == 0 || code == 255) return e8m0_to_f32(code);
  return std::bit_cast<float>(static_cast<uint32_t>(code) << 23);
}

// A token's activations times the block scales of the rows at `row`; FP8 only. Behind K the activations are zero, and
// the last block's scale does for them. Steps of the result lie step_stride numbers apart.
template <class Dot>
void scale_token(const Weight& w, int64_t row, const typename Dot::Number* x, int64_t k_padded,
                 typename Dot::Number* out, int64_t step_stride) {
  const int64_t n_blocks = w.scale_stride();
  for (int64_t block = 0; block < n_blocks; ++block) {
    const typename Dot::Scale scale(scale_of(w, row, block));
    const int64_t end = block + 1 == n_blocks ? k_padded : (block + 1) * w.scale_cols;
    for (int64_t k = block * w.scale_cols; k < end; k += Dot::kStep) {
      Dot::store(out + k / Dot::kStep * step_stride, scale.times(Dot::load(x + k)));
    }
  }
}

template <class Dot>
void copy_token(const typename Dot::Number* x, int64_t k_padded, typename Dot::Number* out, int64_t step_stride) {
  for (int64_t k = 0; k < k_padded; k += Dot::kStep) {
    std::copy_n(x + k, Dot::kStep, out);
    out += step_stride;
  }
}

template <class Dot, class Row>
void row_block(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y, int64_t y_stride) {
  using Number = typename Dot::Number;
  const int64_t k_padded = (w.cols + 63) / 64 * 64;
  const bool is_scaled = w.dtype == DType::kF8E4M3;
  // Stored numbers can be used where they lie when they are of the product's own type and end on a step.
  const bool is_direct = w.cols % 64 == 0 && ((w.dtype == DType::kBF16 && Dot::kStep == 32) ||
                                              (w.dtype == DType::kF32 && Dot::kStep == 16));
  const int64_t panel_numbers = x.T == 1 || is_direct ? 0 : n * k_padded;
  auto* tokens = reinterpret_cast<Number*>(
      thread_scratch(ScratchUse::kPanel, static_cast<size_t>(panel_numbers + kPassTokens * k_padded) * sizeof(Number)));
  Number* panel = tokens + kPassTokens * k_padded;

  if (x.T == 1) {
    const auto* token = reinterpret_cast<const Number*>(x.rows[0]);
    if (is_scaled) {
      scale_token<Dot>(w, row0, token, k_padded, tokens, Dot::kStep);
      token = tokens;
    }
    rows_times_token<Dot, Row>(w, row0, n, token, y);
    return;
  }
  // Groups of four rows are interleaved, the rows that are left lie alone.
  const int64_t n_grouped = n / kTileRows * kTileRows;
  const auto group_of = [&](int64_t r) { return r < n_grouped ? kTileRows : 1; };
  const auto place_of = [&](int64_t r) {
    const int64_t in_group = r < n_grouped ? r % kTileRows : 0;
    return panel + (r - in_group) * k_padded + in_group * Dot::kStep;
  };
  const auto panel_row = [&](int64_t r) {
    return Interleaved<Number>{place_of(r), Dot::kStep, group_of(r) * Dot::kStep};
  };
  const auto stored_row = [&](int64_t r) {
    const auto* row = reinterpret_cast<const Number*>(w.data + (row0 + r) * w.row_bytes());
    return Interleaved<Number>{row, w.cols, Dot::kStep};
  };
  for (int64_t r = 0; r < n && !is_direct; ++r) {
    widen_row<Dot>(Row::at(w, row0 + r), w.cols, place_of(r), group_of(r) * Dot::kStep);
  }
  for (int64_t t = 0; t < x.T; t += kPassTokens) {
    const Pass<Dot> pass{.at = tokens, .tokens = std::min(kPassTokens, x.T - t), .k_padded = k_padded};
    for (int64_t i = 0; i < pass.tokens; ++i) {
      const auto* token = reinterpret_cast<const Number*>(x.rows[t + i]);
      if (is_scaled) {
        scale_token<Dot>(w, row0, token, k_padded, pass.token(i), pass.step_stride(i));
      } else {
        copy_token<Dot>(token, k_padded, pass.token(i), pass.step_stride(i));
      }
    }
    if (is_direct) {
      rows_times_pass(stored_row, n, pass, y + t * y_stride, y_stride);
    } else {
      rows_times_pass(panel_row, n, pass, y + t * y_stride, y_stride);
    }
  }
}

// Activations in BF16 against weights that are not exact in BF16 (F16, F32, scales that are no powers of two): widened,
// a few tokens at a time.
void row_block_widened(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y, int64_t y_stride) {
  const int64_t k_padded = (w.cols + 63) / 64 * 64;
  const auto bytes = static_cast<size_t>(kTileTokens * k_padded) * sizeof(float);
  auto* floats = reinterpret_cast<float*>(thread_scratch(ScratchUse::kTokens, bytes));
  for (int64_t t = 0; t < x.T; t += kTileTokens) {
    const int64_t tokens = std::min(kTileTokens, x.T - t);
    const std::byte* rows[kTileTokens];
    for (int64_t i = 0; i < tokens; ++i) {
      float* out = floats + i * k_padded;
      for (int64_t k = 0; k < k_padded; k += 16) {
        _mm512_storeu_ps(out + k,
                         widen_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x.rows[t + i] + 2 * k))));
      }
      rows[i] = reinterpret_cast<const std::byte*>(out);
    }
    row_block_avx512(w, row0, n, {.format = RowFormat::kF32, .K = x.K, .rows = rows, .T = tokens}, y + t * y_stride,
                     y_stride);
  }
}

}  // namespace

void row_block_avx512(const Weight& w, int64_t row0, int64_t n, const TokenRows& x, float* y, int64_t y_stride) {
  if (x.format == RowFormat::kInt8) {
    const auto* rows = reinterpret_cast<const Int8Block* const*>(x.rows);
    if (x.T == 1) return int8_rows_times_token(w, row0, n, rows[0], y);
    return int8_rows_times_tokens(w, row0, n, rows, x.T, x.reads_next, y, y_stride);
  }
  if (x.format == RowFormat::kInt8Lanes) return int8_lanes_row_block_avx512(w, row0, n, x, y, y_stride);
  if (is_block_type(w.dtype)) return decoded_row_block(row_block_avx512, w, row0, n, x, y, y_stride);
  if (x.format == RowFormat::kBf16) {
    const bool has_exact_scale = w.scale == nullptr || w.scale_dtype == DType::kF8E8M0;
    if (w.dtype == DType::kBF16) return row_block<Bf16Dot, Bf16Row>(w, row0, n, x, y, y_stride);
    if (w.dtype == DType::kF8E4M3 && has_exact_scale) return row_block<Bf16Dot, E4m3Row>(w, row0, n, x, y, y_stride);
    if (w.dtype == DType::kF4E2M1) return row_block<Bf16Dot, E2m1Row>(w, row0, n, x, y, y_stride);
    return row_block_widened(w, row0, n, x, y, y_stride);
  }
  switch (w.dtype) {
    case DType::kF32:
      return row_block<F32Dot, F32Row>(w, row0, n, x, y, y_stride);
    case DType::kF16:
      return row_block<F32Dot, F16Row>(w, row0, n, x, y, y_stride);
    case DType::kBF16:
      return row_block<F32Dot, FloatsOfWords<Bf16Row>>(w, row0, n, x, y, y_stride);
    case DType::kF8E4M3:
      return row_block<F32Dot, FloatsOfWords<E4m3Row>>(w, row0, n, x, y, y_stride);
    case DType::kF4E2M1:
      return row_block<F32Dot, FloatsOfWords<E2m1Row>>(w, row0, n, x, y, y_stride);
    default:
      HADAL_CHECK(false, "no matrix of this dtype", dtype_name(w.dtype));
  }
}

namespace {

void pack_bf16_row(const float* x, const PackedRows& out, std::byte* row) {
  for (int64_t k = 0; k < out.k_padded(); k += 16) {
    const int64_t lanes = std::clamp<int64_t>(out.K - k, 0, 16);
    // Rounded with integers, as f32_to_bf16 does: vcvtneps2bf16 would flush subnormals.
    const __m512i v = _mm512_castps_si512(_mm512_maskz_loadu_ps(first_lanes(lanes), x + k));
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(v, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(v, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(_mm512_castsi512_ps(v), _mm512_castsi512_ps(v), _CMP_UNORD_Q);
    const __m512i quiet = _mm512_or_si512(v, _mm512_set1_epi32(0x400000));
    const __m512i bits = _mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, is_nan, quiet), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + 2 * k), _mm512_cvtepi32_epi16(bits));
  }
}

void pack_lanes_row(const float* x, const PackedRows& out, std::byte* row) {
  auto* lanes = reinterpret_cast<Int8Lanes*>(row);
  const int64_t n_full = out.K / kLaneStep;
  for (int64_t step = 0; step < n_full; ++step) pack_int8_lanes_avx512(x + step * kLaneStep, lanes[step]);
  if (n_full * kLaneStep < out.K) pack_int8_lanes(x + n_full * kLaneStep, out.K - n_full * kLaneStep, lanes[n_full]);
}

void pack_int8_row(const float* x, const PackedRows& out, std::byte* row) {
  auto* blocks = reinterpret_cast<Int8Block*>(row);
  const int64_t n_full = out.K / kInt8Block;
  for (int64_t block = 0; block < n_full; ++block) pack_int8_block_avx512(x + block * kInt8Block, blocks[block]);
  if (n_full * kInt8Block < out.K) {
    pack_int8_block(x + n_full * kInt8Block, out.K - n_full * kInt8Block, blocks[n_full]);
  }
}

}  // namespace

void pack_rows_avx512(CpuDevice& cpu, const PackRows& op) {
  if (op.out.format == RowFormat::kF32) return pack_rows_reference(cpu, op);
  const auto pack = [&op](int64_t i) {
    const int64_t t = i / op.out.groups;
    const int64_t g = i % op.out.groups;
    const float* x = op.x + t * op.x_stride + g * op.out.K;
    const auto pack_row = op.out.format == RowFormat::kBf16   ? pack_bf16_row
                          : op.out.format == RowFormat::kInt8 ? pack_int8_row
                                                              : pack_lanes_row;
    pack_row(x, op.out, op.out.row(t, g));
  };
  // 64 rows: about 0.1 ms of work, worth waking the workers.
  const int64_t rows = op.out.T * op.out.groups;
  if (rows < 64) {
    for (int64_t i = 0; i < rows; ++i) pack(i);
  } else {
    cpu.pool().for_slices(rows, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) pack(i);
    });
  }
}

}  // namespace hadal::ops
