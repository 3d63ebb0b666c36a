#include "device/buffer.h"

#include <sys/mman.h>

#include "base/format.h"

namespace hadal {

namespace {

void unmap(void*, std::byte* data, uint64_t bytes) {
  ::munmap(data, bytes);
}

}  // namespace

Result<Buffer> Buffer::allocate(uint64_t bytes) {
  if (bytes == 0) return Buffer();
  // mmap: page-aligned, returned to the system at once, and only touched pages count.
  void* address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    return Error{.code = ErrorCode::kOutOfMemory,
                 .what = "cannot allocate memory",
                 .in = "",
                 .want = format_bytes(bytes),
                 .found = "the system refused",
                 .hint = "close other programs, or choose a shorter context (--context)"};
  }
  constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;
  if (bytes >= kHugePageBytes) ::madvise(address, bytes, MADV_HUGEPAGE);
  return Buffer(static_cast<std::byte*>(address), bytes, unmap, nullptr);
}

}  // namespace hadal
