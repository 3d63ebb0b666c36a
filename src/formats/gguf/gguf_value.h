// One metadata value of a GGUF file: where it lies, and what it says when it is asked for a type.
//
// Writers differ between u32, i32 and u64, and write a scalar where others write an array: integers are read from any
// integer type, and a scalar counts as an array of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf/gguf_types.h"

namespace hadal {

struct GgufValue {
  GgufType type = GgufType::kU8;  // of the elements when it is an array
  bool is_array = false;
  uint64_t count = 1;                // elements
  std::span<const std::byte> bytes;  // of the elements, encoded; in the mapped file, checked when it was parsed

  // Element i; nothing when it has another type, does not fit or is not there.
  std::optional<int64_t> as_int(uint64_t i = 0) const;
  std::optional<double> as_real(uint64_t i = 0) const;  // f32, f64 and integers
  std::optional<bool> as_bool() const;
  std::optional<std::string_view> as_string() const;  // a scalar
  // All strings of an array; nothing when it holds others. O(count).
  std::optional<std::vector<std::string_view>> strings() const;

  // "array of 129280 string", "u32 7": for people, texts shortened.
  std::string shown() const;
};

}  // namespace hadal
