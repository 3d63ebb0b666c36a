// The number types of GGUF: ids in a file, names for people, and our DType where Hadal computes with them.
//
// Source: ggml/include/ggml.h and gguf.h of llama.cpp v0.5.0 (ids and block sizes are constants of the format).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/dtype.h"

namespace hadal {

// Types of metadata values.
enum class GgufType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};
inline constexpr uint32_t kGgufTypes = 13;

std::string_view gguf_type_name(GgufType type);  // "u32", "string", ...
// Bytes of one value; 0 for strings and arrays, whose length is in the file.
uint64_t gguf_type_bytes(GgufType type);

// The DType of a tensor type id, or nothing when Hadal cannot compute with it.
std::optional<DType> dtype_of_gguf(uint32_t id);
// Nothing for what GGUF cannot hold (FP8).
std::optional<uint32_t> gguf_id_of(DType dtype);
// "Q5_1", "a type that was removed from the format", "an ik_llama.cpp type": for messages about ids without DType.
std::string gguf_tensor_type_name(uint32_t id);

}  // namespace hadal
