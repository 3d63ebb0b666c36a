#include "model/device_weights.h"

#include "model/tensor_names.h"

namespace hadal {
namespace {

// Gives every tensor its place in one block, and copies it there; without a block it only counts.
class Placer {
 public:
  Placer(Device* device, std::byte* block) : device_(device), block_(block) {}

  int64_t bytes() const { return next_; }

  void place_all(ModelWeights& weights, bool mtp) {
    place_rows(model_rows(), weights);
    for (LayerWeights& layer : weights.layers) place_layer(layer);
    for (MtpWeights& draft : weights.mtp) {
      if (!mtp) break;
      place_layer(draft.block);
      place_rows(mtp_rows(), draft);
    }
  }

 private:
  // Kernels read 16 bytes at a time; 256 is what allocations of CUDA begin at.
  static constexpr int64_t kAlignment = 256;

  void place_layer(LayerWeights& layer) {
    place_rows(layer_rows(), layer);
    for (ExpertWeights& expert : layer.experts) place_rows(expert_rows(), expert);
    const std::span<const ExpertWeights> networks = layer.networks();
    layer.networks_on_device = networks.data();
    place(layer.networks_on_device, static_cast<int64_t>(networks.size()));
  }

  template <class Owner>
  void place_rows(std::span<const TensorRow<Owner>> rows, Owner& owner) {
    for (const TensorRow<Owner>& row : rows) {
      std::visit([&](auto slot) { place(slot(owner)); }, row.slot);
    }
  }

  void place(Weight& w) {
    if (w.empty()) return;
    const int64_t data_bytes = w.rows * w.row_bytes();
    const int64_t scale_bytes = w.bytes() - data_bytes;
    place(w.data, data_bytes);
    if (w.scale != nullptr) place(w.scale, scale_bytes);
  }

  template <class Number>
  void place(std::span<const Number>& numbers) {
    const Number* data = numbers.data();
    place(data, static_cast<int64_t>(numbers.size()));
    numbers = {data, numbers.size()};
  }

  template <class T>
  void place(const T*& data, int64_t n) {
    const int64_t bytes = n * static_cast<int64_t>(sizeof(T));
    if (block_ != nullptr && bytes > 0) {
      device_->upload(block_ + next_, data, bytes);
      data = reinterpret_cast<const T*>(block_ + next_);
    }
    next_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  Device* device_;
  std::byte* block_;
  int64_t next_ = 0;
};

}  // namespace

int64_t DeviceWeights::copy_bytes(const ModelWeights& mapped, bool mtp) {
  ModelWeights counted = mapped;
  Placer placer(nullptr, nullptr);
  placer.place_all(counted, mtp);
  return placer.bytes();
}

Result<DeviceWeights> DeviceWeights::create(Device& device, const ModelWeights& mapped, bool mtp) {
  DeviceWeights made;
  made.weights_ = &mapped;
  if (device.shares_host_memory()) return made;

  Result<Buffer> memory = device.allocate(copy_bytes(mapped, mtp));
  if (!memory.ok()) {
    Error error = memory.error();
    if (error.code == ErrorCode::kOutOfMemory) {
      error.what = "the weights do not fit into the memory of the GPU";
      error.hint = "run on the CPU (--device cpu), or close other programs that use the GPU";
    }
    return error;
  }
  made.memory_ = std::move(*memory);
  made.copied_ = std::make_unique<ModelWeights>(mapped);
  made.weights_ = made.copied_.get();
  Placer(&device, made.memory_.data()).place_all(*made.copied_, mtp);
  HADAL_TRY(device.synchronize());
  return made;
}

}  // namespace hadal
