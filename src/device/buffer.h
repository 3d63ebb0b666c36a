// Memory of a device: owned, aligned, not cleared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/result.h"

namespace hadal {

// Host memory aligned to 64 bytes; blocks of 2 MiB and more ask for huge pages. Pages are touched on first use.
class Buffer {
 public:
  // OutOfMemory names the size that was asked for.
  static Result<Buffer> allocate(uint64_t bytes);

  Buffer() = default;
  ~Buffer();
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  std::byte* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace hadal
