#include "formats/gguf/gguf_value.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "base/json.h"

namespace hadal {
namespace {

template <class Number>
Number number_at(const GgufValue& value, uint64_t i) {
  Number number;
  std::memcpy(&number, value.bytes.data() + i * sizeof(Number), sizeof number);
  return number;
}

// The string at the front of `bytes`, which it is cut off. Lengths are read again from the map, and another process may
// have changed them since they were checked.
std::optional<std::string_view> take_string(std::span<const std::byte>& bytes) {
  uint64_t length;
  if (bytes.size() < sizeof length) return std::nullopt;
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > bytes.size() - sizeof length) return std::nullopt;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data() + sizeof length), length);
  bytes = bytes.subspan(sizeof length + length);
  return text;
}

}  // namespace

std::optional<int64_t> GgufValue::as_int(uint64_t i) const {
  if (i >= count) return std::nullopt;
  switch (type) {
    case GgufType::kU8:
      return number_at<uint8_t>(*this, i);
    case GgufType::kI8:
      return number_at<int8_t>(*this, i);
    case GgufType::kU16:
      return number_at<uint16_t>(*this, i);
    case GgufType::kI16:
      return number_at<int16_t>(*this, i);
    case GgufType::kU32:
      return number_at<uint32_t>(*this, i);
    case GgufType::kI32:
      return number_at<int32_t>(*this, i);
    case GgufType::kI64:
      return number_at<int64_t>(*this, i);
    case GgufType::kU64: {
      const auto number = number_at<uint64_t>(*this, i);
      if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
      return static_cast<int64_t>(number);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> GgufValue::as_real(uint64_t i) const {
  if (i >= count) return std::nullopt;
  if (type == GgufType::kF32) return static_cast<double>(number_at<float>(*this, i));
  if (type == GgufType::kF64) return number_at<double>(*this, i);
  const std::optional<int64_t> integer = as_int(i);
  if (!integer) return std::nullopt;
  return static_cast<double>(*integer);
}

std::optional<bool> GgufValue::as_bool() const {
  if (type != GgufType::kBool || is_array) return std::nullopt;
  return number_at<uint8_t>(*this, 0) != 0;
}

std::optional<std::string_view> GgufValue::as_string() const {
  if (type != GgufType::kString || is_array) return std::nullopt;
  std::span<const std::byte> rest = bytes;
  return take_string(rest);
}

std::optional<std::vector<std::string_view>> GgufValue::strings() const {
  if (type != GgufType::kString) return std::nullopt;
  std::vector<std::string_view> texts;
  std::span<const std::byte> rest = bytes;
  for (uint64_t i = 0; i < count; ++i) {
    const std::optional<std::string_view> text = take_string(rest);
    if (!text) return std::nullopt;
    texts.push_back(*text);
  }
  return texts;
}

std::string GgufValue::shown() const {
  if (is_array) return fmt::format("an array of {} {}", count, gguf_type_name(type));
  if (const auto text = as_string()) return json::excerpt(*text);
  if (const auto flag = as_bool()) return *flag ? "true" : "false";
  if (const auto integer = as_int()) return fmt::format("{}", *integer);
  if (const auto real = as_real()) return fmt::format("{}", *real);
  return fmt::format("{}", number_at<uint64_t>(*this, 0));  // a u64 beyond int64
}

}  // namespace hadal
