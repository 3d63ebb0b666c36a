// The clock that commands hand to the layers below, which have none of their own.
#pragma once

#include <chrono>

namespace hadal::cli {

// Seconds of a clock that does not go back.
inline double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace hadal::cli
