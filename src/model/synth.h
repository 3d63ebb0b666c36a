// Checkpoints with made-up weights in a real geometry and in the published format, for benchmarks and tests on machines
// without the weights (model/procedural.h says what the numbers are, model/geometry.h the sizes).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/io.h"
#include "base/json.h"
#include "base/result.h"
#include "model/model_description.h"
#include "model/procedural.h"

namespace hadal {

struct SynthOptions {
  std::string geometry;                          // one of geometry_names()
  int64_t layers = 0;                            // the first ones of the trunk; 0: all
  int64_t experts = 0;                           // the first routed ones of each layer; 0: all
  bool has_draft = true;                         // also the plain MTP layer
  int64_t engram_vocab = 0;                      // the primes of smaller n-gram tables begin here; 0: the geometry's
  uint64_t shard_bytes_max = uint64_t{4} << 30;  // as the published shards; a larger tensor has a shard of its own
};

// What will be written; nothing has been.
struct SynthPlan {
  struct Shard {
    std::string name;
    std::vector<ProceduralTensor> tensors;
    uint64_t tensor_bytes = 0;
  };
  json::Value config;
  ModelDescription description;
  std::vector<Shard> shards;
  uint64_t tensor_bytes = 0;
  size_t n_tensors = 0;
  std::string tokenizer_json;  // written beside the weights; may be empty
};

// Errors: Invalid (unknown geometry, too many layers or experts, experts that the router cannot share among its
// groups, n-gram tables of another size where there are none).
Result<SynthPlan> plan_synth(const SynthOptions& options);
// The same of a config of any family, whose matrices are stored in `format`. Errors: those of parse_model_config().
Result<SynthPlan> plan_synth(json::Value config, const PublishedFormat& format, uint64_t shard_bytes_max);

// Bytes done of all; false cancels.
using SynthProgress = std::function<bool(uint64_t done, uint64_t of)>;

// Writes the shards, then config.json, generation_config.json and the index, into a folder that is made or empty. One
// thread makes numbers while another writes; memory stays below 20 MiB. Without the index a folder is no checkpoint,
// and an error or a cancellation removes what was written. Errors: Invalid (folder in use), Io (disk full, seen before
// the start where the system tells), Cancelled.
Result<void> write_synth(const SynthPlan& plan, const fs::path& folder, const SynthProgress& progress);

}  // namespace hadal
