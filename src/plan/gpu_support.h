// What the ops of a GPU do not compute yet: refused by name before anything is copied there.
#pragma once

#include "base/result.h"
#include "model/model_description.h"
#include "model/numeric_mode.h"
#include "model/weight_set.h"

namespace hadal {

// Unsupported, with the part of the model that is missing on GPUs.
Result<void> check_gpu_support(const ModelDescription& description, const ModelWeights& weights, NumericMode mode);

}  // namespace hadal
