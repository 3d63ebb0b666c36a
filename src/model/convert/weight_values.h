// Rows of bound weights as floats, whatever type they are stored in: for conversion, never in a forward pass.
#pragma once

#include "device/tensor.h"

namespace hadal {

// Row `row` of w into values[0, w.cols), exact but for FP8 times a scale that is no power of two (rounded once).
void decode_weight_row(const Weight& w, int64_t row, float* values);

}  // namespace hadal
