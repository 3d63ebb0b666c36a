// The tokenizer in GGUF metadata <-> ours: byte-level BPE with DeepSeek's split patterns.
//
// Keys tokenizer.ggml.model (gpt2), .pre, .tokens (in the byte alphabet), .token_type, .merges, and ids. Source:
// llama.cpp v0.5.0, src/llama-vocab.cpp.
#pragma once

#include <optional>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "formats/gguf/gguf_file.h"
#include "formats/gguf/gguf_writer.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

inline constexpr std::string_view kGgufChatTemplateKey = "tokenizer.chat_template";

// Nothing when the metadata hold none. Errors name file and key: Corrupt, Unsupported, Limit.
Result<std::optional<Tokenizer>> parse_gguf_tokenizer(const GgufFile& file, std::string_view name);

// The same as a tokenizer.json. Nothing when the metadata hold none; errors as above.
Result<std::optional<json::Value>> tokenizer_json_of_gguf(const GgufFile& file, std::string_view name);

// tokenizer.json as metadata. `vocab_size` tokens are written: ids that the tokenizer does not have are unused ones,
// because readers ask for as many tokens as the embedding has rows. Errors: Unsupported (split patterns that no
// GGUF name stands for), and those of read_tokenizer_json.
Result<void> add_gguf_tokenizer(const json::Value& tokenizer_json, std::string_view name, int64_t vocab_size,
                                bool is_v4, GgufMetadata& metadata);

}  // namespace hadal
