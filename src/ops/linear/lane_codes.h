// A step of 256 channels of a stored row taken apart: codes in the order of the channels, scales and offsets by lane.
// Everything has internal linkage: files for several instruction sets include this.
#pragma once

#include "base/blocks/block_codes.h"
#include "device/tensor.h"
#include "ops/linear/int8_lanes.h"

namespace hadal::ops {
namespace {

struct alignas(64) LaneCodes {
  int8_t code[kLaneStep];
  float scale[16];   // by lane, see lane_of
  float offset[16];  // the same; untouched where the type has none
};

// Reads the blocks of one step. kHasOffsets: of the type. Behind the row's end codes and scales are zero.
template <int kBlockValues, int kBlockBytes, bool kHasOffsets, class Read>
struct StepReader {
  using Block = Read;
  static constexpr bool has_offsets = kHasOffsets;
  static constexpr int64_t kBlocks = kLaneStep / kBlockValues;

  static void read(const std::byte* step, int64_t values, LaneCodes& out) {
    alignas(64) float scale[16];
    alignas(64) float offset[16];
    const int64_t blocks = values >= kLaneStep ? kBlocks : values / kBlockValues;
    constexpr int64_t kLanes = kBlockValues / kLaneChannels;
    for (int64_t i = 0; i < blocks; ++i) {
      Read::read(step + i * kBlockBytes, {out.code + i * kBlockValues, scale + i * kLanes, offset + i * kLanes});
    }
    for (int64_t lane = blocks * kLanes; lane < 16; ++lane) scale[lane] = offset[lane] = 0;
    for (int64_t i = blocks * kBlockValues; i < kLaneStep; ++i) out.code[i] = 0;
    for (int64_t b = 0; b < 16; ++b) {
      out.scale[lane_of(b)] = scale[b];
      if constexpr (kHasOffsets) out.offset[lane_of(b)] = offset[b];
    }
  }
  static const std::byte* at(const Weight& w, int64_t row, int64_t step) {
    return w.data + row * w.row_bytes() + step * kBlocks * kBlockBytes;
  }
  static constexpr int64_t step_bytes() { return kBlocks * kBlockBytes; }
};

#define HADAL_BLOCK_READ(name, function)                                                      \
  struct name {                                                                               \
    static void read(const std::byte* block, const BlockCodes& out) { function(block, out); } \
  }
HADAL_BLOCK_READ(ReadQ8_0, read_q8_0);
HADAL_BLOCK_READ(ReadQ4_0, read_q4_0);
HADAL_BLOCK_READ(ReadMxfp4, read_mxfp4);
HADAL_BLOCK_READ(ReadQ2K, read_q2_k);
HADAL_BLOCK_READ(ReadQ3K, read_q3_k);
HADAL_BLOCK_READ(ReadQ4K, read_q4_k);
HADAL_BLOCK_READ(ReadQ5K, read_q5_k);
HADAL_BLOCK_READ(ReadQ6K, read_q6_k);
HADAL_BLOCK_READ(ReadIq4Xs, read_iq4_xs);
HADAL_BLOCK_READ(ReadIq2Xxs, read_iq2_xxs);
#undef HADAL_BLOCK_READ

// visit(reader) with the type's StepReader, so that loops over steps are compiled once per type.
template <class Visit>
void visit_step_reader(DType dtype, const Visit& visit) {
  switch (dtype) {
    case DType::kQ8_0:
      return visit(StepReader<32, 34, false, ReadQ8_0>());
    case DType::kQ4_0:
      return visit(StepReader<32, 18, false, ReadQ4_0>());
    case DType::kQ2K:
      return visit(StepReader<256, 84, true, ReadQ2K>());
    case DType::kQ3K:
      return visit(StepReader<256, 110, false, ReadQ3K>());
    case DType::kQ4K:
      return visit(StepReader<256, 144, true, ReadQ4K>());
    case DType::kQ5K:
      return visit(StepReader<256, 176, true, ReadQ5K>());
    case DType::kQ6K:
      return visit(StepReader<256, 210, false, ReadQ6K>());
    case DType::kIQ4XS:
      return visit(StepReader<256, 136, false, ReadIq4Xs>());
    case DType::kIQ2XXS:
      return visit(StepReader<256, 66, false, ReadIq2Xxs>());
    default:
      return visit(StepReader<32, 17, false, ReadMxfp4>());
  }
}

}  // namespace
}  // namespace hadal::ops
