#include "formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <tuple>

#include "base/format.h"
#include "base/json.h"

namespace hadal {
namespace {

constexpr uint64_t kLengthPrefixBytes = 8;
constexpr uint64_t kDataAlignment = 64;  // a cache line, and what direct I/O and vector loads like best

// Header JSON: root, tensor, list, number. A level more would hold nothing that the format knows.
constexpr int kHeaderDepthMax = 4;
// A tensor is at least six JSON values; the largest published checkpoint has 72,317 tensors in all its shards. Bounds
// what a hostile header may make the parser allocate (about 100 bytes a value).
constexpr size_t kHeaderValuesMax = size_t{4} << 20;
// Published tensors have at most 3 axes, video models 5.
constexpr size_t kRankMax = 8;
constexpr std::string_view kMetadataKey = "__metadata__";

Error corrupt(std::string what, std::string in, std::string want, std::string found) {
  return Error{.code = ErrorCode::kCorrupt,
               .what = std::move(what),
               .in = std::move(in),
               .want = std::move(want),
               .found = std::move(found),
               .hint = "the file is damaged or was not downloaded whole; fetch it again"};
}

// The JSON between the length prefix and the data.
Result<std::string_view> header_text(std::span<const std::byte> bytes, std::string_view file) {
  if (bytes.size() < kLengthPrefixBytes) {
    return corrupt("safetensors file has no header", std::string(file), "at least 8 bytes",
                   fmt::format("{} bytes", bytes.size()));
  }
  uint64_t length = 0;
  static_assert(std::endian::native == std::endian::little, "the length prefix is little-endian");
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > bytes.size() - kLengthPrefixBytes) {
    return corrupt("safetensors header is longer than the file", fmt::format("{}, byte 0", file),
                   fmt::format("at most {} bytes", bytes.size() - kLengthPrefixBytes), fmt::format("{} bytes", length));
  }
  if (length > kSafetensorsHeaderBytesMax) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "safetensors header is too long",
                 .in = fmt::format("{}, byte 0", file),
                 .want = fmt::format("at most {} bytes", kSafetensorsHeaderBytesMax),
                 .found = fmt::format("{} bytes", length),
                 .hint = ""};
  }
  return std::string_view(reinterpret_cast<const char*>(bytes.data()) + kLengthPrefixBytes, length);
}

// One entry of the header, its parts checked for kind and for themselves.
struct Entry {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

Error wrong_kind(std::string in, std::string_view want, const json::Value* found) {
  return corrupt("safetensors header has a wrong value", std::move(in), std::string(want),
                 found == nullptr ? "nothing" : json::excerpt(*found));
}

Result<DType> read_dtype(const json::Value* value, const std::string& in) {
  if (value == nullptr || !value->is_string()) return wrong_kind(in + ".dtype", "a string", value);
  const std::optional<DType> dtype = parse_dtype(value->as_string());
  if (!dtype) {
    return Error{.code = ErrorCode::kUnsupported,
                 .what = "tensor has an unknown type",
                 .in = in + ".dtype",
                 .want = "F32, F16, BF16, F8_E4M3, F8_E8M0, F4, I8, U8, I32, I64, ...",
                 .found = json::excerpt(value->as_string()),
                 .hint = ""};
  }
  return *dtype;
}

Result<std::vector<int64_t>> read_shape(const json::Value* value, const std::string& in) {
  if (value == nullptr || !value->is_array()) return wrong_kind(in + ".shape", "a list of sizes", value);
  if (value->items().size() > kRankMax) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "tensor has too many axes",
                 .in = in + ".shape",
                 .want = fmt::format("at most {}", kRankMax),
                 .found = fmt::format("{}", value->items().size()),
                 .hint = ""};
  }
  std::vector<int64_t> shape;
  for (const json::Value& item : value->items()) {
    const std::optional<int64_t> size = item.as_int();
    if (!size || *size < 0) return wrong_kind(in + ".shape", "sizes from 0 to 2^63 - 1", value);
    shape.push_back(*size);
  }
  return shape;
}

Result<Entry> read_entry(const json::Value& value, const std::string& in) {
  if (!value.is_object()) return wrong_kind(in, "an object with dtype, shape and data_offsets", &value);
  for (const auto& [key, member] : value.members()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      // A key that the format does not define may change what the bytes mean.
      return wrong_kind(in, "dtype, shape and data_offsets only", &value);
    }
  }
  Entry entry;
  HADAL_ASSIGN(entry.dtype, read_dtype(value.find("dtype"), in));
  HADAL_ASSIGN(entry.shape, read_shape(value.find("shape"), in));
  const json::Value* offsets = value.find("data_offsets");
  if (offsets == nullptr || !offsets->is_array() || offsets->items().size() != 2) {
    return wrong_kind(in + ".data_offsets", "[begin, end]", offsets);
  }
  const std::optional<int64_t> begin = offsets->items()[0].as_int();
  const std::optional<int64_t> end = offsets->items()[1].as_int();
  if (!begin || !end || *begin < 0 || *end < *begin) {
    return wrong_kind(in + ".data_offsets", "0 <= begin <= end", offsets);
  }
  entry.begin = static_cast<uint64_t>(*begin);
  entry.end = static_cast<uint64_t>(*end);
  return entry;
}

// Bytes that shape and dtype ask for, or nothing when that is beyond 63 bits or no whole number of bytes. That it does
// not overflow is what StoredTensor::elements() relies on.
std::optional<uint64_t> expected_bytes(const Entry& entry) {
  int64_t bits = dtype_bits(entry.dtype);
  for (const int64_t size : entry.shape) {
    if (__builtin_mul_overflow(bits, size, &bits)) return std::nullopt;
  }
  if (bits % 8 != 0) return std::nullopt;
  return static_cast<uint64_t>(bits) / 8;
}

Result<void> check_extent(const Entry& entry, uint64_t data_bytes, const std::string& in) {
  const std::string found = fmt::format("[{}, {}]", entry.begin, entry.end);
  if (entry.end > data_bytes) {
    return corrupt("tensor lies beyond the end of the file", in + ".data_offsets",
                   fmt::format("at most {}", data_bytes), found);
  }
  const std::optional<uint64_t> bytes = expected_bytes(entry);
  if (!bytes || *bytes != entry.end - entry.begin) {
    return corrupt("tensor has the wrong number of bytes", in + ".data_offsets",
                   fmt::format("{} bytes for {} {}", bytes ? fmt::format("{}", *bytes) : "countless",
                               dtype_name(entry.dtype), format_shape(entry.shape)),
                   fmt::format("{} = {} bytes", found, entry.end - entry.begin));
  }
  return {};
}

// The tensors, in the order of their bytes, follow each other from 0 to the end of the file. `tensors` is sorted.
Result<void> check_no_gaps(const std::vector<StoredTensor>& tensors, uint64_t header_bytes, uint64_t file_bytes,
                           std::string_view file) {
  uint64_t end = header_bytes;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.file_offset != end) {
      return corrupt(tensor.file_offset < end ? "tensors overlap" : "bytes between tensors belong to none",
                     tensor.place(), fmt::format("byte {}, where the tensor before ends", end),
                     fmt::format("byte {}", tensor.file_offset));
    }
    end += tensor.bytes.size();
  }
  if (end != file_bytes) {
    return corrupt("bytes behind the last tensor belong to none", std::string(file),
                   fmt::format("{} bytes, where the last tensor ends", end), fmt::format("{} bytes", file_bytes));
  }
  return {};
}

Result<std::vector<std::pair<std::string, std::string>>> read_metadata(const json::Value& value,
                                                                       const std::string& in) {
  if (!value.is_object()) return wrong_kind(in, "an object of strings", &value);
  std::vector<std::pair<std::string, std::string>> metadata;
  for (const auto& [key, member] : value.members()) {
    if (!member.is_string()) return wrong_kind(in + "." + json::excerpt(key), "a string", &member);
    metadata.emplace_back(key, member.as_string());
  }
  return metadata;
}

}  // namespace

Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes, std::string_view file) {
  HADAL_ASSIGN(const std::string_view text, header_text(bytes, file));
  const std::string header_place = fmt::format("{}, header", file);
  HADAL_ASSIGN(json::Value header, json::parse(text, header_place,
                                               {.bytes_max = kSafetensorsHeaderBytesMax,
                                                .depth_max = kHeaderDepthMax,
                                                .values_max = kHeaderValuesMax}));
  if (!header.is_object()) return wrong_kind(header_place, "an object", &header);

  SafetensorsFile result;
  result.header_bytes = kLengthPrefixBytes + text.size();
  const uint64_t data_bytes = bytes.size() - result.header_bytes;

  // All names first: views into them must not move.
  auto names = std::make_shared<std::vector<std::string>>();
  names->reserve(header.members().size());
  result.tensors.reserve(header.members().size());
  for (auto& [key, value] : header.members()) {
    if (key == kMetadataKey) {
      HADAL_ASSIGN(result.metadata, read_metadata(value, header_place + ": " + key));
      continue;
    }
    const std::string in = fmt::format("{}: {}", header_place, json::excerpt(key));
    HADAL_ASSIGN(Entry entry, read_entry(value, in));
    HADAL_TRY(check_extent(entry, data_bytes, in));
    names->push_back(std::move(key));
    result.tensors.push_back(
        StoredTensor{.name = names->back(),
                     .dtype = entry.dtype,
                     .shape = std::move(entry.shape),
                     .bytes = bytes.subspan(result.header_bytes + entry.begin, entry.end - entry.begin),
                     .file = file,
                     .file_offset = result.header_bytes + entry.begin});
  }
  result.names = std::move(names);
  // Empty tensors come before the one that begins at the same byte.
  std::sort(result.tensors.begin(), result.tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return std::tuple(a.file_offset, a.bytes.size(), a.name) < std::tuple(b.file_offset, b.bytes.size(), b.name);
  });
  HADAL_TRY(check_no_gaps(result.tensors, result.header_bytes, bytes.size(), file));
  return result;
}

uint64_t TensorToWrite::bytes() const {
  int64_t values = 1;
  for (const int64_t size : shape) values *= size;
  return static_cast<uint64_t>(dtype_bytes(dtype, values));
}

std::string safetensors_header(std::span<const TensorToWrite> tensors,
                               std::span<const std::pair<std::string, std::string>> metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += json::quote(kMetadataKey) + ":{";
    for (const auto& [key, value] : metadata) text += json::quote(key) + ":" + json::quote(value) + ",";
    text.back() = '}';
    text += ',';
  }
  uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    const uint64_t begin = offset;
    offset += tensor.bytes();
    // FP4 of its own type is spelled F4 in the format.
    const std::string_view dtype = tensor.dtype == DType::kF4E2M1 ? "F4" : dtype_name(tensor.dtype);
    text += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}},", json::quote(tensor.name),
                        dtype, fmt::join(tensor.shape, ","), begin, offset);
  }
  if (text.back() == ',') text.pop_back();
  text += '}';
  const uint64_t unpadded = kLengthPrefixBytes + text.size();
  text.append((kDataAlignment - unpadded % kDataAlignment) % kDataAlignment, ' ');

  const uint64_t length = text.size();
  std::string header(kLengthPrefixBytes, '\0');
  std::memcpy(header.data(), &length, sizeof length);
  return header + text;
}

}  // namespace hadal
