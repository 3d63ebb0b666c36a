#include "formats/stored_tensor.h"

#include <fmt/format.h>

namespace hadal {

std::string StoredTensor::place() const {
  return fmt::format("{}, byte {}: \"{}\"", file, file_offset, name);
}

}  // namespace hadal
