#include "base/base_name.h"

#include <algorithm>

namespace hadal {

bool is_base_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F && c != '/' && c != '\\';
  };
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

}  // namespace hadal
