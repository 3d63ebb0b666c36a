// Memory of a device: owned, aligned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/result.h"

namespace hadal {

// Move-only. What Device::allocate hands out, or memory of the host; a device must outlive its buffers.
class Buffer {
 public:
  // Host memory aligned to 64 bytes, zeros; blocks of 2 MiB and more ask for huge pages. Pages are touched on first
  // use. OutOfMemory names the size that was asked for.
  static Result<Buffer> allocate(uint64_t bytes);

  // For devices: memory that goes back with release(owner, data, bytes).
  using Release = void (*)(void* owner, std::byte* data, uint64_t bytes);
  Buffer(std::byte* data, uint64_t bytes, Release release, void* owner)
      : data_(data), bytes_(bytes), release_(release), owner_(owner) {}

  Buffer() = default;
  ~Buffer() {
    if (data_ != nullptr) release_(owner_, data_, bytes_);
  }
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(release_, other.release_);
    std::swap(owner_, other.owner_);
    return *this;
  }

  std::byte* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
  Release release_ = nullptr;
  void* owner_ = nullptr;
};

}  // namespace hadal
