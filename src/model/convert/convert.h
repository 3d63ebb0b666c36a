// A model from one format into another, tensor by tensor: memory stays below some tens of MiB whatever the model's
// size, and a conversion that fails or is stopped leaves nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/io.h"
#include "base/json.h"
#include "base/result.h"
#include "formats/checkpoint.h"
#include "model/convert/convert_plan.h"
#include "model/convert/importance.h"
#include "model/model_description.h"
#include "model/weight_set.h"

namespace hadal {

// A model that is bound, and what its files say besides.
struct ConvertSource {
  const ModelDescription& description;
  const ModelWeights& weights;
  json::Value config;                            // in transformers' keys
  std::optional<json::Value> tokenizer_json;     // nothing: the model has none
  std::string chat_template;                     // empty: none; it tells which prompt encoding the model knows
  std::string name;                              // general.name
  const ImportanceMatrix* importance = nullptr;  // null: errors of all channels count alike
};

struct ConvertSummary {
  size_t n_tensors = 0;
  uint64_t tensor_bytes = 0;
  bool has_dropped_draft = false;  // the target has no place for V4's draft layer
  size_t n_weighed = 0;            // tensors whose errors were weighed by importance
};

// Bytes written of all; false cancels.
using ConvertProgress = std::function<bool(uint64_t done, uint64_t of)>;

// Errors: Cancelled, Io (disk full), Corrupt (NaN or infinity in a weight), Unsupported (family, tokenizer), Invalid
// (importance of another model), by name.
Result<ConvertSummary> write_gguf(const ConvertSource& source, const TypeMix& mix, const fs::path& path,
                                  const ConvertProgress& progress);

// One model.safetensors with config.json, tokenizer.json and chat_template.jinja beside it, in a folder that is made or
// empty. `matrices` is F32, F16 or BF16.
Result<ConvertSummary> write_safetensors(const ConvertSource& source, DType matrices, const fs::path& folder,
                                         const ConvertProgress& progress);

}  // namespace hadal
