// A named tensor of a checkpoint, where it lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"

namespace hadal {

struct StoredTensor {
  std::string_view name;  // owned by the checkpoint
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;        // as stored: FP4 is I8 with half the columns
  std::span<const std::byte> bytes;  // mapped; exactly what shape and dtype ask for
  std::string_view file;             // base name of the file, for messages
  uint64_t file_offset = 0;          // of the first byte in that file

  int64_t elements() const {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    return n;
  }
  // "model-00017-of-00046.safetensors, byte 4096: \"layers.3.attn.wkv.weight\""
  std::string place() const;
};

}  // namespace hadal
