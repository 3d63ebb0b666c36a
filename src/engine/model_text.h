// How a model reads and writes text, from the files beside its weights: tokenizer and prompt encoding.
#pragma once

#include <optional>

#include "base/result.h"
#include "formats/model_files.h"
#include "model/model_description.h"
#include "prompt/prompt_encoding.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

// tokenizer.json, or nothing when there is none. Errors: of Tokenizer::parse; Invalid when it has more tokens than the
// model; Limit (256 MiB), Io.
Result<std::optional<Tokenizer>> read_tokenizer(ModelFiles& files, const ModelDescription& description);

// Decided by choose_encoding (prompt/choose_encoding.h) from the description, the tokenizer (null when the model comes
// without one) and the chat template in tokenizer_config.json or chat_template.jinja, which is never run. Errors:
// Corrupt (tokenizer_config.json is no JSON), Limit (16 MiB), Io.
Result<PromptEncoding> find_prompt_encoding(ModelFiles& files, const ModelDescription& description,
                                            const Tokenizer* tokenizer);

}  // namespace hadal
