// What the ops of a device do not compute yet: refused by name before anything is opened or copied. A CPU runs all.
#pragma once

#include "base/result.h"
#include "device/device.h"
#include "model/model_description.h"
#include "model/numeric_mode.h"
#include "model/weight_set.h"

namespace hadal {

// Unsupported, with the part of the model that is missing there.
Result<void> check_device_support(Device::Kind device, const ModelDescription& description, const ModelWeights& weights,
                                  NumericMode mode);

}  // namespace hadal
