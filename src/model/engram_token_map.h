// Engram's token compression: token id -> class of tokens whose normalised text is the same.
//
// The map follows from the tokenizer (decode, NFKC, strip accents, lower-case, white space); every hash depends on
// every class, so it is computed once and kept beside the weights: engram_token_map.json, a list of one class per
// token, or engram_token_map.bin of Hadal's own family, the same as little-endian int32. Releases come without either:
// then it is made from the tokenizer when the model is opened (engram_token_classes.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/model_files.h"
#include "model/model_description.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

inline constexpr std::string_view kEngramTokenMapFile = "engram_token_map.json";
inline constexpr std::string_view kEngramTokenMapBytesFile = "engram_token_map.bin";

// [vocab_size] classes; empty for a model without Engram. The list is read where both files are; without one the
// tokenizer makes it. Errors: NotFound (no file and no tokenizer), Invalid (another number of tokens, a class out of
// range), those of ModelFiles, JSON and engram_token_classes.
Result<std::vector<int32_t>> read_engram_token_map(ModelFiles& files, const ModelDescription& description,
                                                   const Tokenizer* tokenizer);
Result<std::vector<int32_t>> parse_engram_token_map(std::string_view text, const ModelDescription& description,
                                                    std::string_view name);
Result<std::vector<int32_t>> parse_engram_token_map_bytes(std::span<const std::byte> bytes,
                                                          const ModelDescription& description, std::string_view name);

// The map as kEngramTokenMapFile holds it.
std::string engram_token_map_text(std::span<const int32_t> classes);

}  // namespace hadal
