// safetensors: 8 bytes little-endian header length, a JSON header, then the tensors' bytes.
//
//   {"__metadata__": {string: string}, NAME: {"dtype": "BF16", "shape": [..], "data_offsets": [begin, end]}, ...}
//
// Source: huggingface/safetensors README ("Format"). Everything in the header is checked before a byte of a tensor is
// used: lengths, offsets, overlaps, gaps, shape times dtype against the bytes, with checked arithmetic.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/io.h"
#include "base/result.h"
#include "formats/stored_tensor.h"

namespace hadal {

inline constexpr uint64_t kSafetensorsHeaderBytesMax = uint64_t{100} << 20;  // the format's own limit

struct SafetensorsFile {
  std::vector<StoredTensor> tensors;  // in file order; names point into `names`
  std::vector<std::pair<std::string, std::string>> metadata;
  uint64_t header_bytes = 0;  // 8 + length of the JSON

  // Storage of the names that tensors point to.
  std::shared_ptr<const std::vector<std::string>> names;
};

// Parses a whole mapped file; `file` is its base name for messages (must outlive the result) and `bytes` must stay
// mapped while tensors are used. Errors: Corrupt, Limit, Unsupported (dtype), each naming tensor, offset, want, found.
Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes, std::string_view file);

// One tensor to be written: what it is, and who gives its bytes.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;

  uint64_t bytes() const;
};

// The header (length prefix included) of a file with these tensors in this order, padded with spaces so that data
// begins at a multiple of 64 bytes.
std::string safetensors_header(std::span<const TensorToWrite> tensors,
                               std::span<const std::pair<std::string, std::string>> metadata);

}  // namespace hadal
