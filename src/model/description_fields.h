// The numbers of a ModelDescription as data: their keys in both config styles, their ranges, the release's defaults.
//
// Reading a config, checking a description and writing it as JSON all walk these tables (deepseek-v4 configuration:
// config.json of the published repository, and ModelArgs of its inference code).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/model_description.h"

namespace hadal {

template <class Number>
struct DescriptionField {
  std::string_view key;       // config.json, transformers' spelling
  std::string_view args_key;  // inference/config.json, ModelArgs
  Number ModelDescription::*member;
  Number min, max;
  std::optional<Number> args_default;   // what ModelArgs assumes; nothing: the key is required
  std::optional<Number> default_value;  // what config.json may leave out; nothing: the key is required

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

std::string_view score_func_name(ScoreFunc func);          // "sqrtsoftplus"
std::string_view attention_kind_name(AttentionKind kind);  // "window", "csa", "hca"

}  // namespace hadal
