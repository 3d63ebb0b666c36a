#include "formats/gguf/gguf_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <unordered_set>

#include "base/format.h"
#include "base/json.h"
#include "base/utf8.h"
#include "formats/gguf/gguf_cursor.h"

namespace hadal {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint32_t kVersionMin = 2;
constexpr uint32_t kVersionMax = 3;
constexpr std::string_view kAlignmentKey = "general.alignment";
// The least that a key (length, one byte, type, one byte) and a tensor (length, one byte, one axis, type, offset) take.
constexpr uint64_t kKeyBytesMin = 8 + 1 + 4 + 1;
constexpr uint64_t kTensorBytesMin = 8 + 1 + 4 + 8 + 4 + 8;

struct Counts {
  uint64_t tensors;
  uint64_t keys;
};

Result<uint64_t> read_count(GgufCursor& cursor, std::string_view of, uint64_t bytes_min) {
  const uint64_t begin = cursor.at();
  HADAL_ASSIGN(const auto count, cursor.number<uint64_t>(of));
  if (count > kGgufCountMax) {
    return cursor.refused(ErrorCode::kLimit, "file announces too many of something", begin, of,
                          fmt::format("at most {}", kGgufCountMax), fmt::format("{}", count));
  }
  if (count * bytes_min > cursor.left()) {
    return cursor.refused(ErrorCode::kCorrupt, "file is too short for what it announces", begin, of,
                          fmt::format("{} bytes at least for {}", count * bytes_min, count),
                          fmt::format("{} left in the file", cursor.left()), "a download may have been cut off");
  }
  return count;
}

Result<Counts> read_head(GgufCursor& cursor, uint32_t& version) {
  HADAL_ASSIGN(const auto magic, cursor.number<uint32_t>("magic"));
  if (std::memcmp(&magic, kMagic.data(), sizeof magic) != 0) {
    return cursor.refused(ErrorCode::kCorrupt, "not a GGUF file", 0, "magic", "\"GGUF\"",
                          fmt::format("0x{:08x}", magic));
  }
  HADAL_ASSIGN(version, cursor.number<uint32_t>("version"));
  if (version < kVersionMin || version > kVersionMax) {
    const bool is_swapped = (version & 0xFFFF) == 0 && version != 0;
    return cursor.refused(
        ErrorCode::kUnsupported, is_swapped ? "GGUF file is big-endian" : "GGUF version is not supported", 4, "version",
        "2 or 3, little-endian", is_swapped ? fmt::format("0x{:08x}", version) : fmt::format("{}", version),
        is_swapped ? "convert the checkpoint again on a little-endian machine"
                   : "convert the checkpoint again with a newer tool");
  }
  Counts counts{};
  HADAL_ASSIGN(counts.tensors, read_count(cursor, "tensor count", kTensorBytesMin));
  HADAL_ASSIGN(counts.keys, read_count(cursor, "key count", kKeyBytesMin));
  return counts;
}

// --- metadata --------------------------------------------------------------------------------------------------------

Result<GgufType> read_type(GgufCursor& cursor, std::string_view of) {
  const uint64_t begin = cursor.at();
  HADAL_ASSIGN(const auto id, cursor.number<uint32_t>(of));
  if (id >= kGgufTypes) {
    return cursor.refused(ErrorCode::kCorrupt, "value has an unknown type", begin, of,
                          fmt::format("0 to {}", kGgufTypes - 1), fmt::format("{}", id));
  }
  return static_cast<GgufType>(id);
}

// Walks over the elements, so that later reads know that they are inside.
Result<void> skip_elements(GgufCursor& cursor, const GgufValue& value, std::string_view of) {
  if (value.type == GgufType::kString) {
    for (uint64_t i = 0; i < value.count; ++i) {
      HADAL_ASSIGN([[maybe_unused]] const std::string_view text, cursor.string(of, kGgufStringBytesMax));
    }
    return {};
  }
  const uint64_t begin = cursor.at();
  HADAL_TRY(cursor.skip(value.count * gguf_type_bytes(value.type), of));  // below 2^28 * 8
  if (value.type != GgufType::kBool) return {};
  const std::span<const std::byte> flags = cursor.since(begin);
  const auto bad = std::find_if(flags.begin(), flags.end(), [](std::byte b) { return b > std::byte{1}; });
  if (bad == flags.end()) return {};
  return cursor.refused(ErrorCode::kCorrupt, "value is no truth value",
                        begin + static_cast<uint64_t>(bad - flags.begin()), of, "0 or 1",
                        fmt::format("{}", static_cast<int>(*bad)));
}

Result<GgufValue> read_value(GgufCursor& cursor, std::string_view of) {
  GgufValue value;
  HADAL_ASSIGN(value.type, read_type(cursor, of));
  if (value.type == GgufType::kArray) {
    value.is_array = true;
    const uint64_t begin = cursor.at();
    HADAL_ASSIGN(value.type, read_type(cursor, of));
    if (value.type == GgufType::kArray) {
      return cursor.refused(ErrorCode::kUnsupported, "array holds arrays", begin, of, "numbers, strings or bools",
                            "arrays");
    }
    HADAL_ASSIGN(value.count, cursor.number<uint64_t>(of));
    // A string has 8 bytes at least.
    const uint64_t element_bytes =
        std::max<uint64_t>(gguf_type_bytes(value.type), value.type == GgufType::kString ? 8 : 1);
    if (value.count > cursor.left() / element_bytes) {
      return cursor.refused(
          ErrorCode::kCorrupt, "array is longer than the file", begin + 4, of,
          fmt::format("at most {} elements in the {} bytes left", cursor.left() / element_bytes, cursor.left()),
          fmt::format("{}", value.count), "a download may have been cut off");
    }
    if (value.count > kGgufElementsMax) {
      return cursor.refused(ErrorCode::kLimit, "array is too long", begin + 4, of,
                            fmt::format("at most {} elements", kGgufElementsMax), fmt::format("{}", value.count));
    }
  }
  const uint64_t begin = cursor.at();
  HADAL_TRY(skip_elements(cursor, value, of));
  value.bytes = cursor.since(begin);
  return value;
}

Result<void> read_metadata(GgufCursor& cursor, uint64_t n_keys, GgufFile& file) {
  std::unordered_set<std::string_view> known;
  for (uint64_t i = 0; i < n_keys; ++i) {
    const uint64_t begin = cursor.at();
    const std::string number = fmt::format("key {} of {}", i + 1, n_keys);
    HADAL_ASSIGN(const std::string_view key, cursor.string(number, kGgufStringBytesMax));
    if (key.empty() || !utf8::is_valid(key)) {
      return cursor.refused(ErrorCode::kCorrupt, "key is no name", begin, number, "UTF-8, at least one byte",
                            key.empty() ? "nothing" : json::excerpt(key));
    }
    if (!known.insert(key).second) {
      return cursor.refused(ErrorCode::kCorrupt, "key is there twice", begin, number, "each key once",
                            json::excerpt(key));
    }
    HADAL_ASSIGN(GgufValue value, read_value(cursor, json::excerpt(key)));
    file.metadata.emplace_back(key, value);
  }
  return {};
}

Result<uint64_t> read_alignment(const GgufCursor& cursor, const GgufFile& file) {
  const GgufValue* value = file.find(kAlignmentKey);
  if (value == nullptr) return kGgufAlignmentDefault;
  const std::optional<int64_t> alignment =
      value->type == GgufType::kU32 && !value->is_array ? value->as_int() : std::nullopt;
  const auto bytes = static_cast<uint64_t>(alignment.value_or(0));
  if (!std::has_single_bit(bytes) || bytes > kGgufAlignmentMax) {
    return cursor.refused(ErrorCode::kCorrupt, "alignment is not usable", cursor.at(), kAlignmentKey,
                          fmt::format("u32, a power of two up to {}", kGgufAlignmentMax),
                          fmt::format("{} {}", gguf_type_name(value->type), value->shown()));
  }
  return bytes;
}

// --- tensors ---------------------------------------------------------------------------------------------------------

// Where a tensor says that it lies, before data begin is known.
struct TensorInfo {
  std::string_view name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // from data begin
  uint64_t bytes = 0;
  uint64_t header_at = 0;
};

Result<std::string_view> read_tensor_name(GgufCursor& cursor, const std::string& number) {
  const uint64_t begin = cursor.at();
  HADAL_ASSIGN(const std::string_view name, cursor.string(number, kGgufNameBytesMax));
  if (name.empty() || name.find('\0') != std::string_view::npos || !utf8::is_valid(name)) {
    return cursor.refused(ErrorCode::kCorrupt, "tensor has no usable name", begin, number,
                          "UTF-8 without NUL, at least one byte", name.empty() ? "nothing" : json::excerpt(name));
  }
  return name;
}

// Slowest axis first. The product of the sizes fits 63 bits: StoredTensor::elements() relies on it.
Result<std::vector<int64_t>> read_shape(GgufCursor& cursor, const std::string& of) {
  const uint64_t begin = cursor.at();
  HADAL_ASSIGN(const auto n_dims, cursor.number<uint32_t>(of));
  if (n_dims < 1 || n_dims > kGgufDimsMax) {
    return cursor.refused(ErrorCode::kCorrupt, "tensor has a wrong number of axes", begin, of,
                          fmt::format("1 to {}", kGgufDimsMax), fmt::format("{}", n_dims));
  }
  std::vector<int64_t> shape(n_dims);
  int64_t elements = 1;
  for (uint32_t i = 0; i < n_dims; ++i) {
    const uint64_t at = cursor.at();
    HADAL_ASSIGN(const auto size, cursor.number<uint64_t>(of));
    if (size < 1 || size > static_cast<uint64_t>(INT64_MAX)) {
      return cursor.refused(ErrorCode::kCorrupt, "tensor has an axis of no size", at, of,
                            fmt::format("1 to {}", INT64_MAX), fmt::format("{}", size));
    }
    shape[n_dims - 1 - i] = static_cast<int64_t>(size);
    if (__builtin_mul_overflow(elements, static_cast<int64_t>(size), &elements)) {
      return cursor.refused(ErrorCode::kCorrupt, "tensor has too many elements", begin, of, "a product below 2^63",
                            format_shape(std::span(shape).subspan(n_dims - 1 - i)));
    }
  }
  return shape;
}

Result<void> check_bytes(const GgufCursor& cursor, TensorInfo& info, const std::string& of) {
  const BlockSize block = dtype_block(info.dtype);
  int64_t elements = 1;
  for (const int64_t size : info.shape) elements *= size;
  if (info.shape.back() % block.values != 0) {
    return cursor.refused(ErrorCode::kCorrupt, "rows of the tensor are no whole blocks", info.header_at, of,
                          fmt::format("a multiple of {} for {}", block.values, dtype_name(info.dtype)),
                          fmt::format("{} in {}", info.shape.back(), format_shape(info.shape)));
  }
  int64_t bytes;
  if (__builtin_mul_overflow(elements / block.values, int64_t{block.bytes}, &bytes)) {
    return cursor.refused(ErrorCode::kCorrupt, "tensor has too many bytes", info.header_at, of, "below 2^63",
                          fmt::format("{} {}", dtype_name(info.dtype), format_shape(info.shape)));
  }
  info.bytes = static_cast<uint64_t>(bytes);
  return {};
}

Result<TensorInfo> read_tensor_info(GgufCursor& cursor, uint64_t alignment, const std::string& number) {
  TensorInfo info;
  info.header_at = cursor.at();
  HADAL_ASSIGN(info.name, read_tensor_name(cursor, number));
  const std::string of = json::excerpt(info.name);
  HADAL_ASSIGN(info.shape, read_shape(cursor, of));
  const uint64_t type_at = cursor.at();
  HADAL_ASSIGN(const auto id, cursor.number<uint32_t>(of));
  const std::optional<DType> dtype = dtype_of_gguf(id);
  if (!dtype) {
    return cursor.refused(ErrorCode::kUnsupported, "tensor has a type that Hadal does not have", type_at, of,
                          "F32, F16, BF16, Q8_0, Q4_0, Q2_K to Q6_K, IQ2_XXS, IQ4_XS or MXFP4",
                          gguf_tensor_type_name(id), "quantise the model again with one of these types");
  }
  info.dtype = *dtype;
  HADAL_TRY(check_bytes(cursor, info, of));
  const uint64_t offset_at = cursor.at();
  HADAL_ASSIGN(info.offset, cursor.number<uint64_t>(of));
  if (info.offset % alignment != 0) {
    return cursor.refused(ErrorCode::kCorrupt, "tensor is not aligned", offset_at, of,
                          fmt::format("a multiple of {}", alignment), fmt::format("offset {}", info.offset));
  }
  return info;
}

Result<std::vector<TensorInfo>> read_tensor_infos(GgufCursor& cursor, uint64_t n_tensors, uint64_t alignment) {
  std::vector<TensorInfo> infos;
  infos.reserve(n_tensors);  // bounded by the bytes in the file
  std::unordered_set<std::string_view> known;
  for (uint64_t i = 0; i < n_tensors; ++i) {
    HADAL_ASSIGN(TensorInfo info,
                 read_tensor_info(cursor, alignment, fmt::format("tensor {} of {}", i + 1, n_tensors)));
    if (!known.insert(info.name).second) {
      return cursor.refused(ErrorCode::kCorrupt, "tensor is there twice", info.header_at, json::excerpt(info.name),
                            "each name once", "the same name before");
    }
    infos.push_back(std::move(info));
  }
  return infos;
}

// `infos` by offset: inside the file, and none over another. Holes are allowed.
Result<void> check_extents(const GgufCursor& cursor, const std::vector<TensorInfo>& infos, uint64_t data_begin,
                           uint64_t file_bytes) {
  const uint64_t data_bytes = file_bytes - std::min(file_bytes, data_begin);
  const TensorInfo* before = nullptr;
  for (const TensorInfo& info : infos) {
    const std::string of = json::excerpt(info.name);
    if (info.bytes > data_bytes || info.offset > data_bytes - info.bytes) {
      return cursor.refused(ErrorCode::kCorrupt, "tensor lies beyond the end of the file", info.header_at, of,
                            fmt::format("{} bytes at byte {} + {}", info.bytes, data_begin, info.offset),
                            fmt::format("a file of {} bytes", file_bytes), "a download may have been cut off");
    }
    if (before != nullptr && before->offset + before->bytes > info.offset) {
      return cursor.refused(
          ErrorCode::kCorrupt, "tensors overlap", info.header_at, of,
          fmt::format("offset {} or more, behind {}", before->offset + before->bytes, json::excerpt(before->name)),
          fmt::format("offset {}", info.offset));
    }
    before = &info;
  }
  return {};
}

}  // namespace

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found =
      std::find_if(metadata.begin(), metadata.end(), [&](const auto& pair) { return pair.first == key; });
  return found == metadata.end() ? nullptr : &found->second;
}

Result<GgufFile> parse_gguf(std::span<const std::byte> bytes, std::string_view file) {
  GgufFile result;
  GgufCursor cursor(bytes, file);
  HADAL_ASSIGN(const Counts counts, read_head(cursor, result.version));
  HADAL_TRY(read_metadata(cursor, counts.keys, result));
  HADAL_ASSIGN(result.alignment, read_alignment(cursor, result));
  HADAL_ASSIGN(std::vector<TensorInfo> infos, read_tensor_infos(cursor, counts.tensors, result.alignment));
  result.data_begin = (cursor.at() + result.alignment - 1) / result.alignment * result.alignment;
  // Empty tensors share an offset: those in the order of their headers.
  std::sort(infos.begin(), infos.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.header_at < b.header_at;
  });
  HADAL_TRY(check_extents(cursor, infos, result.data_begin, bytes.size()));

  // Names are copied: nothing that is used as a key may change with the file.
  auto names = std::make_shared<std::vector<std::string>>();
  names->reserve(infos.size());
  result.tensors.reserve(infos.size());
  for (TensorInfo& info : infos) {
    names->emplace_back(info.name);
    result.tensors.push_back({.name = names->back(),
                              .dtype = info.dtype,
                              .shape = std::move(info.shape),
                              .bytes = bytes.subspan(result.data_begin + info.offset, info.bytes),
                              .file = file,
                              .file_offset = result.data_begin + info.offset});
  }
  result.names = std::move(names);
  return result;
}

}  // namespace hadal
