#include "ops/thread_scratch.h"

#include <array>
#include <memory>
#include <vector>

namespace hadal::ops {

std::byte* thread_scratch(ScratchUse use, size_t bytes) {
  thread_local std::array<std::vector<std::byte>, 3> memory;
  std::vector<std::byte>& block = memory[static_cast<size_t>(use)];
  constexpr size_t kLine = 64;
  if (block.size() < bytes + kLine) {
    block.clear();
    block.resize(bytes + kLine);
  }
  void* aligned = block.data();
  size_t space = block.size();
  return static_cast<std::byte*>(std::align(kLine, bytes, aligned, space));
}

}  // namespace hadal::ops
