#include "device/buffer.h"

#include <sys/mman.h>

#include "base/format.h"

namespace hadal {

Result<Buffer> Buffer::allocate(uint64_t bytes) {
  Buffer buffer;
  if (bytes == 0) return buffer;
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
  buffer.data_ = static_cast<std::byte*>(address);
  buffer.bytes_ = bytes;
  return buffer;
}

Buffer::~Buffer() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

}  // namespace hadal
