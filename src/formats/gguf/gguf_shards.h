// GGUF models in several files: NAME-00001-of-00004.gguf (five digits, counted from 1) with the keys split.no (from 0),
// split.count and split.tensors.count. The first carries the metadata, and often no tensors.
//
// Source: llama.cpp v0.5.0, src/llama-model-loader.cpp and tools/gguf-split.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/gguf/gguf_file.h"
#include "formats/model_files.h"

namespace hadal {

inline constexpr std::string_view kGgufExtension = ".gguf";
inline constexpr std::string_view kSplitNoKey = "split.no";
inline constexpr std::string_view kSplitCountKey = "split.count";
inline constexpr std::string_view kSplitTensorsKey = "split.tensors.count";

// "model", 2, 4 -> "model-00002-of-00004.gguf"
std::string gguf_shard_name(std::string_view prefix, size_t number, size_t count);

// The model is a GGUF file, or a folder with some and without safetensors.
bool is_gguf_model(const ModelFiles& files);

// The GGUF files of the model in order: the one that `files` was opened with and its other shards (any of them may be
// named), or those of a folder that holds no safetensors. Empty when the model is no GGUF. Errors: NotFound (shards are
// missing, several models in the folder).
Result<std::vector<std::string>> gguf_shard_names(const ModelFiles& files);

// What a file says about its place in the set against where its name puts it: shard i of n. Corrupt.
Result<void> check_gguf_shard(const GgufFile& file, std::string_view name, size_t i, size_t n);

// The tensors of all shards against what the first one announces. Corrupt.
Result<void> check_gguf_total(const GgufFile& first, std::string_view name, size_t n_tensors);

}  // namespace hadal
