// Memory that the host and kernels both see: the same where a device shares the host's memory, two and copies between
// them otherwise.
#pragma once

#include <utility>
#include <vector>

#include "device/device.h"

namespace hadal {

// A block that one side writes and the other reads, zeros at first. The device must outlive it.
class Mirror {
 public:
  static Result<Mirror> allocate(Device& device, int64_t bytes) {
    Mirror mirror;
    mirror.device_ = &device;
    HADAL_ASSIGN(mirror.on_host_, device.allocate_staging(bytes));
    if (!device.shares_host_memory()) {
      HADAL_ASSIGN(mirror.on_device_, device.allocate(bytes));
    }
    return mirror;
  }

  std::byte* on_host() const { return on_host_.data(); }
  std::byte* on_device() const { return is_one() ? on_host_.data() : on_device_.data(); }
  int64_t bytes() const { return static_cast<int64_t>(on_host_.bytes()); }

  // The first bytes, from one side to the other; as Device::upload and download.
  void upload(int64_t bytes) {
    if (!is_one()) device_->upload(on_device(), on_host(), bytes);
  }
  void download(int64_t bytes) {
    if (!is_one()) device_->download(on_host(), on_device(), bytes);
  }

 private:
  bool is_one() const { return on_device_.data() == nullptr; }

  Device* device_ = nullptr;
  Buffer on_host_;
  Buffer on_device_;
};

// Numbers in a device's memory for the host to look at: where they lie, or a copy.
template <class T>
class HostView {
 public:
  // Waits for what the device has to do before.
  static Result<HostView> of(Device& device, const T* data, int64_t n) {
    HostView view;
    view.data_ = data;
    if (!device.shares_host_memory()) {
      view.copy_.resize(static_cast<size_t>(n));
      device.download(view.copy_.data(), data, n * static_cast<int64_t>(sizeof(T)));
      view.data_ = view.copy_.data();
    }
    HADAL_TRY(device.synchronize());
    return view;
  }

  const T* data() const { return data_; }

 private:
  const T* data_ = nullptr;
  std::vector<T> copy_;  // moving it keeps its address
};

}  // namespace hadal
