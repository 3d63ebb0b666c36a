// GGUF metadata <-> the config of the published repository: a table of keys, read in both directions.
//
// What a model is stays one translation per family (model_config.cpp): metadata become a config in transformers' keys
// first. Architectures: deepseek2 (V3, R1, V3.1), deepseek32 (V3.2), deepseek4 (V4), in the keys that llama.cpp,
// ik_llama.cpp and ds4 write. Source: llama.cpp v0.5.0, src/llama-arch.cpp and conversion/deepseek.py.
#pragma once

#include <span>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "formats/gguf/gguf_file.h"
#include "formats/gguf/gguf_writer.h"
#include "model/model_description.h"

namespace hadal {

// The metadata of `file` as a config. `tensors` are those of all shards: the embedding says how many tokens there are
// when no key does. Errors name file and key: NotFound (a key is missing), Invalid (type, value), Unsupported
// (architecture, things that differ by layer).
Result<json::Value> config_of_gguf(const GgufFile& file, std::span<const StoredTensor> tensors, std::string_view name);

// config_of_gguf and parse_model_config. Draft layers of deepseek4 lack tensors that the release has: they are left
// out.
Result<ModelDescription> parse_gguf_description(const GgufFile& file, std::span<const StoredTensor> tensors,
                                                std::string_view name);

// A description whose family has an architecture there as metadata, general.architecture first; draft layers of a plain
// residual included. Tokenizer and name are not: see gguf_tokenizer.h.
void add_gguf_description(const ModelDescription& d, GgufMetadata& metadata);

// "deepseek4". Unsupported for a family that llama.cpp has no names for.
Result<std::string_view> gguf_architecture(const ModelDescription& d);

}  // namespace hadal
