#include "formats/gguf/gguf_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hadal {
namespace {

struct ValueType {
  std::string_view name;
  uint64_t bytes;
};
constexpr std::array<ValueType, kGgufTypes> kValueTypes = {{
    {"u8", 1},
    {"i8", 1},
    {"u16", 2},
    {"i16", 2},
    {"u32", 4},
    {"i32", 4},
    {"f32", 4},
    {"bool", 1},
    {"string", 0},
    {"array", 0},
    {"u64", 8},
    {"i64", 8},
    {"f64", 8},
}};

struct TensorType {
  uint32_t id;
  DType dtype;
};
constexpr TensorType kTensorTypes[] = {
    {0, DType::kF32},    {1, DType::kF16},     {30, DType::kBF16},  {28, DType::kF64}, {24, DType::kI8},
    {25, DType::kI16},   {26, DType::kI32},    {27, DType::kI64},   {2, DType::kQ4_0}, {8, DType::kQ8_0},
    {10, DType::kQ2K},   {11, DType::kQ3K},    {12, DType::kQ4K},   {13, DType::kQ5K}, {14, DType::kQ6K},
    {23, DType::kIQ4XS}, {16, DType::kIQ2XXS}, {39, DType::kMXFP4},
};

// What files may hold and Hadal does not compute with.
struct OtherType {
  uint32_t id;
  std::string_view name;
};
constexpr OtherType kOtherTypes[] = {
    {3, "Q4_1"},     {6, "Q5_0"},   {7, "Q5_1"},    {9, "Q8_1"},   {15, "Q8_K"},  {17, "IQ2_XS"},
    {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"}, {29, "IQ1_M"},
    {34, "TQ1_0"},   {35, "TQ2_0"}, {40, "NVFP4"},  {41, "Q1_0"},  {42, "Q2_0"},
};
constexpr uint32_t kRemoved[] = {4, 5, 31, 32, 33, 36, 37, 38};
// ik_llama.cpp numbers its own types from here on.
constexpr uint32_t kIkFirst = 97;
constexpr uint32_t kIkLast = 1024;

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  return kValueTypes[static_cast<size_t>(type)].name;
}

uint64_t gguf_type_bytes(GgufType type) {
  return kValueTypes[static_cast<size_t>(type)].bytes;
}

std::optional<DType> dtype_of_gguf(uint32_t id) {
  for (const TensorType& type : kTensorTypes) {
    if (type.id == id) return type.dtype;
  }
  return std::nullopt;
}

std::optional<uint32_t> gguf_id_of(DType dtype) {
  for (const TensorType& type : kTensorTypes) {
    if (type.dtype == dtype) return type.id;
  }
  return std::nullopt;
}

std::string gguf_tensor_type_name(uint32_t id) {
  if (const std::optional<DType> dtype = dtype_of_gguf(id)) return std::string(dtype_name(*dtype));
  for (const OtherType& type : kOtherTypes) {
    if (type.id == id) return fmt::format("{} (type {})", type.name, id);
  }
  if (std::find(std::begin(kRemoved), std::end(kRemoved), id) != std::end(kRemoved))
    return fmt::format("type {}, which was removed from the format", id);
  if (id >= kIkFirst && id <= kIkLast) return fmt::format("type {}, an ik_llama.cpp type", id);
  return fmt::format("type {}, which does not exist", id);
}

}  // namespace hadal
