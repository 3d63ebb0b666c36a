#include "formats/stored_tensor.h"

#include <fmt/format.h>

#include "base/json.h"

namespace hadal {

std::string StoredTensor::place() const {
  return fmt::format("{}, byte {}: {}", file, file_offset, json::excerpt(name));
}

}  // namespace hadal
