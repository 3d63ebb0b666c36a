// What a conversion writes: the naming tables walked over bound weights, a type chosen for each tensor.
//
// The source is whatever could be bound (safetensors in any naming and type, GGUF in either dialect), so one walk per
// target serves all of them.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "formats/safetensors.h"
#include "model/convert/convert_types.h"
#include "model/model_description.h"
#include "model/weight_set.h"

namespace hadal {

// Rows [row0, row0 + rows) of a bound matrix; transposed: written as [cols, rows].
struct MatrixPart {
  const Weight* weight = nullptr;
  int64_t row0 = 0;
  int64_t rows = 0;
  bool is_transposed = false;
};

// One tensor of the target and where its numbers come from: parts one behind the other, or one small vector or table.
struct ConvertTensor {
  TensorToWrite out;
  std::variant<std::vector<MatrixPart>, Vector, std::span<const int32_t>> source;
};

// llama.cpp's names and layout: experts stacked, the halves of MLA's wkv_b apart. Draft layers of V4 are left out,
// because that layout has no names for all of their tensors.
std::vector<ConvertTensor> plan_gguf(const ModelDescription& d, const ModelWeights& weights, const TypeMix& mix);

// The names that the family is published under; matrices in `matrices` (F32, F16 or BF16), vectors in F32.
std::vector<ConvertTensor> plan_safetensors(const ModelDescription& d, const ModelWeights& weights, DType matrices);

}  // namespace hadal
