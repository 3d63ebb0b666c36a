#include "ops/thread_scratch.h"

#include <array>
#include <vector>

namespace hadal::ops {

std::byte* thread_scratch(ScratchUse use, size_t bytes) {
  thread_local std::array<std::vector<std::byte>, 2> memory;
  std::vector<std::byte>& block = memory[static_cast<size_t>(use)];
  if (block.size() < bytes) {
    block.clear();
    block.resize(bytes);
  }
  return block.data();
}

}  // namespace hadal::ops
