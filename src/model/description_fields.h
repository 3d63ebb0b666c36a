// The numbers of a ModelDescription as data: their names, their ranges, and which part of a model each belongs to.
//
// Checking a description and writing it as JSON walk these tables; how a family's configs spell and default them is the
// business of its translation.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model/model_description.h"

namespace hadal {

// A part that not every model has. Sizes of a part that is not there are 0.
enum class ModelPart { kAlways, kSharedHead, kMla, kIndexer, kMoe, kDenseFfn, kHyperConnections, kCandidates, kEngram };
bool has_part(const ModelDescription& description, ModelPart part);

template <class Number>
struct DescriptionField {
  std::string_view key;       // config.json, transformers' spelling
  std::string_view args_key;  // ModelArgs of the official code
  Number ModelDescription::*member;
  ModelPart part;
  Number min, max;

  // "hidden_size (dim)": the key in both spellings.
  std::string label() const {
    std::string text(key);
    if (args_key != key && !args_key.empty()) text.append(" (").append(args_key).append(")");
    return text;
  }
};

using IntField = DescriptionField<int64_t>;
using RealField = DescriptionField<double>;

std::span<const IntField> int_fields();
std::span<const RealField> real_fields();

// Positions are turned into rope angles as floats, which name every integer up to here.
inline constexpr int64_t kContextTokensMax = int64_t{1} << 24;
inline constexpr int64_t kLayersMax = 1024;
// Released models: 4 and 128. A whole number of groups must fit the context.
inline constexpr int64_t kCompressRatioMax = 4096;
// All routed experts of all layers: 23,808 in the largest release. Bounds what a config of a few bytes can make the
// loader allocate (about 1 KB an expert).
inline constexpr int64_t kExpertsTotalMax = int64_t{1} << 18;

// The released model: 8. Index keys are scored 240 at a time, a whole number of blocks of 1, 2, 4, 8 and 16.
inline constexpr int64_t kCandidateBlockMax = 16;
// Layers with a table: 2 in the released model. Bounds the search for primes.
inline constexpr size_t kEngramLayersMax = 16;

std::string_view score_func_name(ScoreFunc func);          // "sqrtsoftplus"
std::string_view attention_kind_name(AttentionKind kind);  // "window", "csa", "hca", "mla", "dsa", "csa2"

// Sets the sizes of parts that the model does not have to 0: the last step of a translation before validate().
void clear_absent_parts(ModelDescription& description);

}  // namespace hadal
