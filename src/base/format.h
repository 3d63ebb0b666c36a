// Numbers as people read them.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace hadal {

std::string format_bytes(uint64_t bytes);                  // "81.2 GiB", "512 B"
std::string format_count(uint64_t n);                      // "1,048,576"
std::string format_seconds(double seconds);                // "0.8 s", "3 min 20 s"
std::string format_shape(std::span<const int64_t> shape);  // "[512, 4096]"

}  // namespace hadal
