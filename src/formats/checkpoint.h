// A checkpoint: the tensors of one .safetensors file, of all shards that an index names, or of a GGUF file and the
// shards that belong to it, found by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "formats/gguf/gguf_file.h"
#include "formats/model_files.h"
#include "formats/stored_tensor.h"

namespace hadal {

class Checkpoint {
 public:
  // Opens model.safetensors, or the shards of model.safetensors.index.json, or the single .safetensors file that
  // `files` was opened with, or the only *.safetensors of the folder; or the .gguf file that `files` was opened with,
  // or the only one of a folder without safetensors, with its other shards. Maps every shard, checks headers and index;
  // reads no weights. Errors: NotFound (no checkpoint, a missing shard by name), Corrupt (a header, a tensor that the
  // index puts into another shard, a tensor in two shards, total_size), Limit. `files` must outlive the checkpoint.
  static Result<Checkpoint> open(ModelFiles& files);

  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  // The tensor of that name, or null. O(1).
  const StoredTensor* find(std::string_view name) const;
  const std::vector<StoredTensor>& tensors() const;  // by shard, then file order
  uint64_t tensor_bytes() const;                     // sum over all tensors
  const std::string& place() const;
  // The GGUF file that holds the metadata; null for safetensors. It has no tensors of its own: they are in tensors(),
  // with those of all shards.
  const GgufFile* gguf() const;

 private:
  struct Impl;
  explicit Checkpoint(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
