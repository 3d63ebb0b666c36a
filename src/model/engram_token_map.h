// Engram's token compression: token id -> class of tokens whose normalised text is the same.
//
// The map follows from the tokenizer (decode, NFKC, strip accents, lower-case, white space); every hash depends on
// every class, so it is computed once and kept beside the weights as engram_token_map.json, a list of one class per
// token. Not here: computing it from a tokenizer, which needs Unicode's normalisation tables.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "formats/model_files.h"
#include "model/model_description.h"

namespace hadal {

inline constexpr std::string_view kEngramTokenMapFile = "engram_token_map.json";

// [vocab_size] classes; empty for a model without Engram. Errors: NotFound (no file), Invalid (another
// number of tokens, a class out of range), those of ModelFiles and JSON.
Result<std::vector<int32_t>> read_engram_token_map(ModelFiles& files, const ModelDescription& description);
Result<std::vector<int32_t>> parse_engram_token_map(std::string_view text, const ModelDescription& description,
                                                    std::string_view name);

}  // namespace hadal
