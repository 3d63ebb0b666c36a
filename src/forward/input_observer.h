// What matrices are multiplied with, for whoever weighs their channels: an importance matrix (engine/importance.h).
#pragma once

#include <cstdint>

#include "device/tensor.h"

namespace hadal {

class InputObserver {
 public:
  virtual ~InputObserver() = default;

  // n rows of weight.cols floats, before any rounding, row i at x + i * stride; they meet `weight`, which is a matrix
  // of the ModelWeights that the pass was made with. Called in the thread that runs the step; valid during the call.
  virtual void input(const Weight& weight, const float* x, int64_t n, int64_t stride) = 0;
};

}  // namespace hadal
