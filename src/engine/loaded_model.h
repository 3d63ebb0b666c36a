// A model on its way into the engine: files, tensors, description, weights and tokenizer, all checked.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "formats/checkpoint.h"
#include "formats/model_files.h"
#include "model/model_description.h"
#include "model/weight_set.h"
#include "prompt/prompt_encoding.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

// What generation_config.json or general.sampling.* of a GGUF file recommends.
struct GenerationDefaults {
  double temperature = 1.0;
  double top_p = 1.0;
};

// Not movable: weights and checkpoint point into each other's memory. Held by shared_ptr, because sequences of several
// engines and tests read the same weights.
struct LoadedModel {
  // Opens and checks everything; maps weights, reads none but vectors, scales of small matrices and tables.
  // Errors: of ModelFiles, Checkpoint, parse_model_config, WeightSet, Tokenizer, each naming the file.
  static Result<std::shared_ptr<const LoadedModel>> open(ModelFiles files);

  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  ModelFiles files;
  Checkpoint checkpoint;
  ModelDescription description;  // mtp_layers is empty when the checkpoint has none
  WeightSet weights;
  std::optional<Tokenizer> tokenizer;  // a checkpoint may come without one: compare and bench need none
  GenerationDefaults generation;
  PromptEncoding prompt_encoding = PromptEncoding::kV4Preview;
  std::string identity;  // hex; part of every saved state
  // For the plan: file-backed memory (code, other models) that was resident before this model was opened, and what of
  // this model stays mapped besides its matrices: the sources of widened tensors, tokenizer.json.
  uint64_t program_file_bytes = 0;
  uint64_t widened_source_bytes = 0;
  uint64_t tokenizer_file_bytes = 0;

  // For open(), which fills in the rest.
  LoadedModel(ModelFiles f, Checkpoint c, ModelDescription d, WeightSet w)
      : files(std::move(f)), checkpoint(std::move(c)), description(std::move(d)), weights(std::move(w)) {}
};

// Names description and weights: SHA-256 over the description, every tensor's name, type, shape and size, and the first
// bytes of every tensor that is no expert's. Hashing all of 150 GB at start would take minutes.
std::string model_identity(const ModelDescription& description, const Checkpoint& checkpoint);

}  // namespace hadal
