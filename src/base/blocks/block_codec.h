// Rows of stored numbers to floats and back, for the plain number types and GGUF's block types.
//
// Decoding is exact in the sense of block_codes.h: bit for bit what llama.cpp's dequantize_row_* gives. Encoding is
// our own: Q8_0, Q4_0 and MXFP4 by the largest magnitude, the others by least squares over each group of 16 or 32,
// weighted by the caller (an importance matrix) or by magnitude.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/dtype.h"

namespace hadal {

// True for F32, F16, BF16 and the block types: what decode_values and encode_values take.
bool has_codec(DType dtype);

// n values, a whole number of blocks, from any address.
void decode_values(DType dtype, const std::byte* data, int64_t n, float* values);

// n values, a whole number of blocks. importance[i] >= 0 says how much an error of value i costs (the mean square of
// the activation it meets); null: all alike, large values a little more. NaN and infinity are the caller's to refuse.
void encode_values(DType dtype, const float* values, const float* importance, int64_t n, std::byte* data);

// The first of n values whose block has a scale that is no number (NaN, infinity, E8M0's 255); block types only.
std::optional<int64_t> first_bad_scale(DType dtype, const std::byte* data, int64_t n);

}  // namespace hadal
