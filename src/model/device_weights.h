// The weights of a model where the kernels of a device read them: as they are mapped where it shares the host's memory,
// else copied into its own, byte for byte as they are stored.
#pragma once

#include <memory>

#include "device/device.h"
#include "model/weight_set.h"

namespace hadal {

class DeviceWeights {
 public:
  // Copies tensor by tensor into one block, whose room is asked for first; draft layers only with `mtp`. Device and
  // mapped weights must outlive it. OutOfMemory names what is needed and what is free.
  static Result<DeviceWeights> create(Device& device, const ModelWeights& mapped, bool mtp);

  // What a copy takes.
  static int64_t copy_bytes(const ModelWeights& mapped, bool mtp);

  // Data that only kernels may read; sizes, types and whether there is any are the host's to see. Stays where it is.
  const ModelWeights& weights() const { return *weights_; }

 private:
  const ModelWeights* weights_ = nullptr;
  std::unique_ptr<ModelWeights> copied_;  // null: as mapped
  Buffer memory_;
};

}  // namespace hadal
