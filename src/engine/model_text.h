// How a model reads and writes text, from the files beside its weights or from GGUF metadata: tokenizer and prompt
// encoding. `gguf` is Checkpoint::gguf(): with one, no other file of the folder is looked at.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "formats/gguf/gguf_file.h"
#include "formats/model_files.h"
#include "model/model_description.h"
#include "prompt/prompt_encoding.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

// The tokenizer, or nothing when there is none. Errors: of Tokenizer::parse and parse_gguf_tokenizer; Invalid when it
// has more tokens than the model; Limit (256 MiB), Io.
Result<std::optional<Tokenizer>> read_tokenizer(ModelFiles& files, const GgufFile* gguf,
                                                const ModelDescription& description);

// The chat template of chat_template.jinja, tokenizer_config.json or tokenizer.chat_template; empty when there is none.
// It is a program from a stranger: looked at and copied, never run. Errors: Corrupt (tokenizer_config.json is no JSON),
// Limit (16 MiB), Io.
Result<std::string> read_chat_template(ModelFiles& files, const GgufFile* gguf);

// Decided by choose_encoding (prompt/choose_encoding.h) from the description, the tokenizer (null when the model comes
// without one) and the chat template. Errors: of read_chat_template.
Result<PromptEncoding> find_prompt_encoding(ModelFiles& files, const GgufFile* gguf,
                                            const ModelDescription& description, const Tokenizer* tokenizer);

}  // namespace hadal
