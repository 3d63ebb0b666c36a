// How a key/value entry or an index key is stored: float rows in, bytes out, and back.
//
//   kF32        D floats
//   kBf16       D BF16
//   kFp8        D - rope_dim E4M3 codes | rope_dim BF16 | one E8M0 per 64 codes | zeros to a multiple of 8
//               512 wide with 64 rotary channels: 448 + 128 + 7 + 1 = 584 bytes, the content of FlashMLA's
//               "MODEL1" entry (which keeps the scales of a page apart; here they follow their entry)
//   kFp8By128   D - rope_dim E4M3 codes | one float per 128 codes, a power of two | rope_dim BF16
//               a latent of 512 with 64 rotary channels: 512 + 16 + 128 = 656 bytes, FlashMLA's entry of V3.2;
//               an index key of 128: 128 + 4 = 132 bytes
//   kFp4        D / 2 bytes of E2M1 pairs | one E8M0 per 32 codes: 68 bytes for 128, DeepGEMM's index key
//
// Sources: act_quant and fp4_act_quant of the V4 release's kernel.py (power-of-two scales), act_quant of V3.2's with
// scale_fmt ue8m0; FlashMLA tests/quant.py.
#pragma once

#include <span>
#include <string_view>

#include "device/device.h"
#include "ops/versions.h"

namespace hadal::ops {

enum class KvFormat : uint8_t { kF32, kBf16, kFp8, kFp4, kFp8By128 };

std::string_view kv_format_name(KvFormat format);  // "f32", "bf16", "fp8", "fp4", "fp8_by_128"
int64_t kv_row_bytes(KvFormat format, int64_t D, int64_t rope_dim);

// The published roundings, in place, staying float: what encode to kFp8 / kFp4 / kFp8By128 does to the values.
enum class KvRounding : uint8_t {
  kNone,
  kE4m3,          // channels [0, D - rope_dim) in blocks of 64
  kHadamardE2m1,  // all D channels: Hadamard transform (natural order, times D^-1/2), then blocks of 32
  kHadamard,      // the transform alone (what precedes kFp4)
  // V3.2, a power-of-two scale for 128 channels:
  kE4m3By128,     // channels [0, D - rope_dim): the latent
  kHadamardE4m3,  // all D channels: Hadamard transform, then E4M3: index queries and keys
  // V4.1, all D channels, rotated ones included:
  kE4m3By32,  // window rows: a power-of-two scale
  kE2m1By16,  // entries: an E4M3 scale
  kE2m1By32,  // index queries and keys: a power-of-two scale, what kFp4 does
};
constexpr bool has_hadamard(KvRounding rounding) {
  return rounding == KvRounding::kHadamardE2m1 || rounding == KvRounding::kHadamard ||
         rounding == KvRounding::kHadamardE4m3;
}

struct RoundRows {
  float* x = nullptr;  // [T, D] in place, rows x_stride elements apart
  int64_t T = 0;
  int64_t D = 0;  // a power of two for the Hadamard forms
  int64_t x_stride = 0;
  int64_t rope_dim = 0;
  KvRounding rounding = KvRounding::kNone;
};

// Every version, CUDA's included, gives the bits of the reference for finite x. On a GPU the Hadamard forms take D of
// at most 4,096. Cost: reads and writes T D floats.
void round_rows(Device& device, const RoundRows& op);
void round_rows_reference(CpuDevice& cpu, const RoundRows& op);
std::span<const Version<RoundRows>> round_rows_versions();

// Rows that lie in pages: row j is pages[j / rows_per_page] + offset + (j % rows_per_page) * row_bytes.
struct PagedRows {
  const std::byte* const* pages = nullptr;
  int64_t rows_per_page = 1;
  int64_t offset = 0;
  int64_t row_bytes = 0;
  KvFormat format = KvFormat::kF32;

  const std::byte* row(int64_t j) const { return pages[j / rows_per_page] + offset + (j % rows_per_page) * row_bytes; }
};

// Rows of floats to stored rows, and back, wherever a sequence keeps them: rings, pages. On the CPU one row after the
// other; on a GPU rows must be aligned to 4 bytes, those of kFp8 included.
struct EncodeRows {
  const float* x = nullptr;  // [T, D], rows x_stride elements apart
  int64_t x_stride = 0;
  PagedRows to;                    // pages that may be written
  const int64_t* slots = nullptr;  // [T] row of `to` that a row becomes, all different; negative: it is not stored
  int64_t T = 0;
  int64_t D = 0;
  int64_t rope_dim = 0;
};
struct DecodeRows {
  PagedRows from;
  const int64_t* slots = nullptr;  // [T]
  float* x = nullptr;              // [T, D], rows x_stride elements apart
  int64_t x_stride = 0;
  int64_t T = 0;
  int64_t D = 0;
  int64_t rope_dim = 0;
};
// Not on GPUs yet: kFp8By128.
void encode_rows(Device& device, const EncodeRows& op);
// Of several sequences (ops/batch.h).
void encode_rows(Device& device, std::span<const EncodeRows> ops);
void decode_rows(Device& device, const DecodeRows& op);

// One row to bytes and back; rope_dim is 0 for index keys. Encoding rounds to nearest, ties to even.
void encode_row(KvFormat format, const float* x, int64_t D, int64_t rope_dim, std::byte* out);
void decode_row_reference(KvFormat format, const std::byte* row, int64_t D, int64_t rope_dim, float* x);

// The fastest coders for a processor; the functions stay valid. Bit-equal to the two above for rows of finite numbers;
// the decoder also for every other byte pattern, but that a NaN may have another sign. Widths that are no multiple of
// 32 (16 for each part of the FP8 forms) run the two above. Rows need no alignment.
using EncodeRow = void (*)(KvFormat format, const float* x, int64_t D, int64_t rope_dim, std::byte* out);
using DecodeRow = void (*)(KvFormat format, const std::byte* row, int64_t D, int64_t rope_dim, float* x);
EncodeRow encode_row_for(CpuLevel level);
DecodeRow decode_row_for(CpuLevel level);

}  // namespace hadal::ops
