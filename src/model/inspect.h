// What a checkpoint holds, told from its headers alone; and, on request, whether all of its numbers are numbers.
//
// Made for files that may be broken or hostile: a config that cannot be read, a tensor that does not fit and a missing
// shard are findings in the report, beside everything that could be read.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "formats/checkpoint.h"
#include "formats/model_files.h"
#include "model/model_description.h"

namespace hadal {

// Tensors of one part of the model and one type.
struct TensorGroup {
  std::string_view part;  // "routed experts"
  DType dtype = DType::kF32;
  uint64_t n_tensors = 0;
  uint64_t bytes = 0;
};

struct ShardSummary {
  std::string name;
  uint64_t n_tensors = 0;
  uint64_t tensor_bytes = 0;
};

struct InspectReport {
  std::string place;
  std::optional<ModelDescription> description;  // nothing when there is no readable config
  std::string identity;
  bool has_weights = false;  // the checkpoint's headers could be read
  bool has_draft = false;    // draft layers are among the weights
  std::vector<ShardSummary> shards;
  std::vector<TensorGroup> groups;  // the largest first
  uint64_t n_tensors = 0;
  uint64_t tensor_bytes = 0;
  std::vector<Error> problems;  // config, headers, binding: what a loader would refuse
};

// Reads config and headers, binds the one to the other, reads no matrix. `checkpoint` is set when the headers are
// sound; it points into `files`.
InspectReport inspect_model(ModelFiles& files, std::optional<Checkpoint>& checkpoint);

json::Value inspect_to_json(const InspectReport& report);
json::Value tensors_to_json(const Checkpoint& checkpoint);
// Key to value as text, of a GGUF file; null without one.
json::Value metadata_to_json(const Checkpoint& checkpoint);

// --- every number
// --------------------------------------------------------------------------------------------------------

// A tensor with numbers that are none (NaN, infinity).
struct BadNumbers {
  std::string place;
  uint64_t n = 0;
  uint64_t first = 0;  // element
};

struct VerifyReport {
  uint64_t read_bytes = 0;
  uint64_t n_bad_tensors = 0;
  std::vector<BadNumbers> bad;  // the first kBadTensorsMax
};
inline constexpr size_t kBadTensorsMax = 100;

// Bytes done of all; false cancels.
using VerifyProgress = std::function<bool(uint64_t done, uint64_t of)>;

// Reads every byte of every tensor and looks for NaN and infinity: weights, scales, vectors. Token tables and vectors
// are checked for meaning when the weights are bound. Errors: Cancelled.
Result<VerifyReport> verify_numbers(const Checkpoint& checkpoint, const VerifyProgress& progress);
json::Value verify_to_json(const VerifyReport& report);

}  // namespace hadal
