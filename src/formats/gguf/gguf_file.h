// GGUF versions 2 and 3, little-endian: metadata, tensor infos, then the tensors' bytes.
//
//   "GGUF"  u32 version  i64 tensors  i64 keys                                     24 bytes
//   keys:    string key, u32 type, value                 string: u64 bytes, UTF-8
//   tensors: string name, u32 n_dims, u64 ne[n_dims], u32 type, u64 offset         array: u32 type, u64 count, elements
//   zeros up to a multiple of general.alignment (32), then each tensor at data begin + offset
//
// ne has the fastest axis first; StoredTensor's shape has it last, as everywhere in Hadal: a matrix is [out, in].
// Sources: ggml/include/gguf.h and ggml/src/gguf.cpp of llama.cpp v0.5.0. Everything is checked before a byte of a
// tensor is used; every size is compared with the bytes that are left before anything is allocated.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "formats/gguf/gguf_value.h"
#include "formats/stored_tensor.h"

namespace hadal {

// Published files have 1,500 tensors and 60 keys.
inline constexpr uint64_t kGgufCountMax = uint64_t{1} << 20;
// The longest in use is a chat template, 20 KB.
inline constexpr uint64_t kGgufStringBytesMax = uint64_t{1} << 24;
// Engram's token map and the tokenizer's merges have some 130,000.
inline constexpr uint64_t kGgufElementsMax = uint64_t{1} << 28;
inline constexpr uint64_t kGgufNameBytesMax = 127;
inline constexpr uint32_t kGgufDimsMax = 4;
inline constexpr uint64_t kGgufAlignmentDefault = 32;
inline constexpr uint64_t kGgufAlignmentMax = 65536;

struct GgufFile {
  uint32_t version = 0;
  uint64_t alignment = kGgufAlignmentDefault;
  uint64_t data_begin = 0;                                       // bytes before the tensors' data
  std::vector<std::pair<std::string_view, GgufValue>> metadata;  // in file order; views into the mapped bytes
  std::vector<StoredTensor> tensors;                             // by offset; names point into `names`
  std::shared_ptr<const std::vector<std::string>> names;

  const GgufValue* find(std::string_view key) const;  // or null; O(keys)
};

// Parses a whole mapped file; `file` is its base name for messages (must outlive the result), and `bytes` must stay
// mapped while values or tensors are used. Errors, each with file, byte, want and found: Corrupt (not the format, cut,
// overlapping, misaligned, twice the same name), Unsupported (version, byte order, tensor type), Limit.
Result<GgufFile> parse_gguf(std::span<const std::byte> bytes, std::string_view file);

}  // namespace hadal
