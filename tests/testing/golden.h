// Golden values of tests: the tensors of a small safetensors file, by name.
//
//   const GoldenFile golden("layers/sink_attention.safetensors");  // below tests/data
//   std::span<const float> q = golden.f32("c0.q");
//   const std::vector<int64_t>& shape = golden.shape("c0.q");
//
// Reads the file by itself (base/json and base/io only), so that tests of any layer can use it and a mistake in
// formats/ cannot hide one elsewhere. Whatever is missing or of another type stops the test with its name.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/io.h"
#include "base/json.h"

namespace hadal::test {

class GoldenFile {
 public:
  explicit GoldenFile(std::string_view path_below_data) : path_(path_below_data) {
    Result<MappedFile> file = MappedFile::open(fs::path(HADAL_SOURCE_DIR) / "tests" / "data" / path_);
    HADAL_CHECK(file.ok(), "golden file", file.ok() ? std::string() : file.error().to_string());
    const std::span<const std::byte> bytes = file->bytes();
    HADAL_CHECK(bytes.size() >= 8, "golden file is too short", path_);
    uint64_t header_bytes = 0;
    std::memcpy(&header_bytes, bytes.data(), 8);
    HADAL_CHECK(header_bytes <= bytes.size() - 8, "golden header is longer than the file", path_);
    Result<json::Value> header = json::parse({reinterpret_cast<const char*>(bytes.data()) + 8, header_bytes}, path_);
    HADAL_CHECK(header.ok(), "golden header", header.ok() ? std::string() : header.error().to_string());
    const std::span<const std::byte> data = bytes.subspan(8 + header_bytes);
    for (const json::Member& member : header->members()) {
      if (member.first != "__metadata__") add(member.first, member.second, data);
    }
  }

  bool has(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  const std::vector<int64_t>& shape(std::string_view name) const { return find(name).shape; }

  // The elements, row-major, as stored. The views live as long as this object.
  std::span<const float> f32(std::string_view name) const { return elements<float>(name, {"F32"}); }
  std::span<const int32_t> i32(std::string_view name) const { return elements<int32_t>(name, {"I32"}); }
  std::span<const int64_t> i64(std::string_view name) const { return elements<int64_t>(name, {"I64"}); }
  std::span<const uint16_t> bf16(std::string_view name) const { return elements<uint16_t>(name, {"BF16"}); }
  // Codes and flags of one byte, or pairs of four bits.
  std::span<const uint8_t> u8(std::string_view name) const {
    return elements<uint8_t>(name, {"U8", "I8", "F8_E4M3", "F8_E8M0", "BOOL"});
  }

 private:
  struct Tensor {
    std::string dtype;
    std::vector<int64_t> shape;
    std::vector<uint64_t> words;  // the bytes, copied: in the file they may lie unaligned
    size_t bytes = 0;
  };

  void add(const std::string& name, const json::Value& entry, std::span<const std::byte> data) {
    const json::Value* dtype = entry.find("dtype");
    const json::Value* shape = entry.find("shape");
    const json::Value* offsets = entry.find("data_offsets");
    HADAL_CHECK(dtype != nullptr && shape != nullptr && offsets != nullptr && offsets->items().size() == 2,
                "golden entry", path_, name);
    Tensor tensor;
    tensor.dtype = dtype->as_string();
    for (const json::Value& size : shape->items()) tensor.shape.push_back(size.as_int().value_or(-1));
    const int64_t begin = offsets->items()[0].as_int().value_or(-1);
    const int64_t end = offsets->items()[1].as_int().value_or(-1);
    HADAL_CHECK(0 <= begin && begin <= end && end <= static_cast<int64_t>(data.size()), "golden offsets", path_, name,
                begin, end);
    tensor.bytes = static_cast<size_t>(end - begin);
    tensor.words.resize((tensor.bytes + 7) / 8);
    if (tensor.bytes > 0) std::memcpy(tensor.words.data(), data.data() + begin, tensor.bytes);
    tensors_.emplace(name, std::move(tensor));
  }

  const Tensor& find(std::string_view name) const {
    const auto it = tensors_.find(name);
    HADAL_CHECK(it != tensors_.end(), "no such golden tensor", path_, name);
    return it->second;
  }

  template <class T>
  std::span<const T> elements(std::string_view name, std::initializer_list<std::string_view> dtypes) const {
    const Tensor& tensor = find(name);
    bool is_known = false;
    for (const std::string_view dtype : dtypes) is_known = is_known || tensor.dtype == dtype;
    HADAL_CHECK(is_known, "golden tensor of another type", path_, name, tensor.dtype);
    return {reinterpret_cast<const T*>(tensor.words.data()), tensor.bytes / sizeof(T)};
  }

  std::string path_;
  std::map<std::string, Tensor, std::less<>> tensors_;
};

}  // namespace hadal::test
