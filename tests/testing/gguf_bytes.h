// GGUF files byte by byte, right or wrong: for tests of what the reader must refuse.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf/gguf_types.h"

namespace hadal::test {

template <class Number>
std::string raw(Number number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

inline std::string gguf_string(std::string_view text) {
  return raw(uint64_t{text.size()}).append(text);
}

inline std::string gguf_key(std::string_view key, GgufType type, std::string_view value) {
  return (gguf_string(key) + raw(static_cast<uint32_t>(type))).append(value);
}

inline std::string gguf_array(GgufType type, uint64_t count, std::string_view elements) {
  return (raw(static_cast<uint32_t>(type)) + raw(count)).append(elements);
}

// ne: fastest axis first.
inline std::string gguf_tensor(std::string_view name, const std::vector<uint64_t>& ne, uint32_t type, uint64_t offset) {
  std::string out = gguf_string(name) + raw(static_cast<uint32_t>(ne.size()));
  for (const uint64_t size : ne) out += raw(size);
  return out + raw(type) + raw(offset);
}

struct GgufParts {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::vector<std::string> keys = {};
  std::vector<std::string> tensors = {};
  size_t data_bytes = 0;
  uint64_t alignment = 32;

  // The file; counts as given, or right.
  std::string file() const { return file(tensors.size(), keys.size()); }
  std::string file(uint64_t n_tensors, uint64_t n_keys) const {
    std::string out = magic + raw(version) + raw(n_tensors) + raw(n_keys);
    for (const std::string& key : keys) out += key;
    for (const std::string& tensor : tensors) out += tensor;
    out.append((alignment - out.size() % alignment) % alignment, '\0');
    return out + std::string(data_bytes, '\0');
  }
};

}  // namespace hadal::test
