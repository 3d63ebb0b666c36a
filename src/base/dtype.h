// How numbers are stored, and the one home of every conversion between the formats.
//
// Sources: OCP 8-bit floating point (E4M3 "fn", E5M2), OCP microscaling (E2M1, E8M0), IEEE 754 (F16), and the release's
// kernel.py for the quantisers. All conversions are exact or round to nearest, ties to even; base/dtype_test.cpp goes
// through all codes. Fast versions inside ops agree with these bit for bit.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>

namespace hadal {

enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
  kF4E2M1,  // two codes a byte, the even element in the low nibble; stored as I8 [rows, cols / 2] in safetensors
  kI8,
  kU8,
  kI32,
  kI64,
  kF64,
  kBool,
  kI16,
  // GGUF's block types: a row is cut into blocks, each with its scales among its codes (base/blocks/block_codec.h).
  kQ8_0,
  kQ4_0,
  kQ2K,
  kQ3K,
  kQ4K,
  kQ5K,
  kQ6K,
  kIQ2XXS,
  kIQ4XS,
  kMXFP4,
};

std::string_view dtype_name(DType dtype);  // safetensors' spelling: "BF16", "F8_E4M3", ...; GGUF's: "Q4_K"
std::optional<DType> parse_dtype(std::string_view name);  // a number type; also "F4" for kF4E2M1
int dtype_bits(DType dtype);                              // of a number type: 4 for kF4E2M1

// The least number of values that are stored together, and their bytes: {1, 4} for F32, {2, 1} for FP4, {256, 144} for
// Q4_K. A row of a matrix is a whole number of these.
struct BlockSize {
  int values;
  int bytes;
};
BlockSize dtype_block(DType dtype);
inline constexpr int kBlockValuesMax = 256;
bool is_block_type(DType dtype);  // one of GGUF's, with scales of its own

// Bytes of n values in a row; n is a whole number of blocks, but for FP4, whose last byte may be half full.
inline int64_t dtype_bytes(DType dtype, int64_t n) {
  const BlockSize block = dtype_block(dtype);
  return (n * block.bytes + block.values - 1) / block.values;
}

// --- to float, exact -------------------------------------------------------------------------------------------------

inline float bf16_to_f32(uint16_t code) {
  return std::bit_cast<float>(static_cast<uint32_t>(code) << 16);
}
float f16_to_f32(uint16_t code);
float e4m3_to_f32(uint8_t code);  // 0x7F and 0xFF are NaN; there is no infinity
float e5m2_to_f32(uint8_t code);
float e8m0_to_f32(uint8_t code);  // 2^(code - 127); 0 gives the subnormal 2^-127, 0xFF gives NaN
float e2m1_to_f32(uint8_t code);  // low four bits

// --- from float, nearest, ties to even -------------------------------------------------------------------------------

uint16_t f32_to_bf16(float v);  // NaN stays NaN (quiet)
uint16_t f32_to_f16(float v);   // overflows to infinity
uint8_t f32_to_e4m3(float v);   // saturates at 448; NaN gives 0x7F
uint8_t f32_to_e2m1(float v);   // saturates at 6; NaN gives 0x7 (there is none in the format)

inline float round_to_bf16(float v) {
  return bf16_to_f32(f32_to_bf16(v));
}

// The exponent e of the smallest power of two not below v > 0, from the bits as the release's kernel does it.
inline int ceil_log2(float v) {
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  return static_cast<int>(bits >> 23) - 127 + ((bits & 0x7FFFFF) != 0 ? 1 : 0);
}
// 2^e for e in [-126, 127].
inline float exp2i(int e) {
  return std::bit_cast<float>(static_cast<uint32_t>(e + 127) << 23);
}

// --- block quantisers of the release (kernel.py: act_quant, fp4_act_quant)
// -----------------------------------------------

// Scale exponent of a block: amax at least 1e-4, times float(1/448), rounded up to a power of two.
int e4m3_scale_exponent(const float* x, int n);
// amax at least 6 * 2^-126, times float(1/6), rounded up to a power of two.
int e2m1_scale_exponent(const float* x, int n);

// x[0..n) rounded to E4M3 with one power-of-two scale per `block` elements and back, in place ("fp8_sim").
void fake_quantize_e4m3(float* x, int n, int block);
// The same with a float scale: amax at least 1e-4, times float(1/448) (act_quant of V3).
void fake_quantize_e4m3_float_scale(float* x, int n, int block);
// x[0..n) rounded to E2M1 with one power-of-two scale per `block` elements and back, in place ("fp4_sim").
void fake_quantize_e2m1(float* x, int n, int block);
// The same with an E4M3 scale: amax at least 6 * 2^-9, divided by 6, rounded to E4M3 (cached entries of V4.1).
void fake_quantize_e2m1_e4m3_scale(float* x, int n, int block);

}  // namespace hadal
