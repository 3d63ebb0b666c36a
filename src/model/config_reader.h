// What the translations of configs share: members with their types checked, and the parts that all families write
// alike.
//
// A config is config.json of the published repository (transformers' keys) or inference/config.json (ModelArgs of the
// official code). Every message names the file and the key that was read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/model_description.h"

namespace hadal {

struct ConfigReader {
  const json::Value& root;
  std::string_view name;
  bool is_args;  // ModelArgs' keys, not transformers'

  std::string_view key(std::string_view published, std::string_view args) const { return is_args ? args : published; }

  Error wrong(std::string_view key, std::string want, const json::Value* found,
              ErrorCode code = ErrorCode::kInvalid) const;

  // A member that is there and not null (transformers writes null for "not set"), or null.
  static const json::Value* member(const json::Value& object, std::string_view key);
  const json::Value* member(std::string_view key) const { return member(root, key); }

  // `absent` stands for a member that is not there; nothing: it is required.
  Result<int64_t> integer(const json::Value* value, std::string_view key, std::optional<int64_t> absent) const;
  Result<double> real(const json::Value* value, std::string_view key, std::optional<double> absent) const;
  Result<int64_t> integer(std::string_view key, std::optional<int64_t> absent) const {
    return integer(member(key), key, absent);
  }
  Result<double> real(std::string_view key, std::optional<double> absent) const {
    return real(member(key), key, absent);
  }
};

// How one family's configs spell a number of the description, and what they may leave out.
template <class Number>
struct ConfigKey {
  Number ModelDescription::*member;
  std::string_view key;                 // config.json
  std::string_view args_key;            // inference/config.json
  std::optional<Number> args_default;   // what ModelArgs assumes; nothing: the key is required
  std::optional<Number> default_value;  // what config.json may leave out; nothing: the key is required
};

Result<void> read_numbers(const ConfigReader& reader, std::span<const ConfigKey<int64_t>> keys, ModelDescription& d);
Result<void> read_numbers(const ConfigReader& reader, std::span<const ConfigKey<double>> keys, ModelDescription& d);

// What the forward pass takes for granted. Absent means the same. Unsupported when a config says otherwise.
struct ConfigAssumption {
  std::string_view key;
  json::Value value;
};
Result<void> check_assumptions(const ConfigReader& reader, std::span<const ConfigAssumption> assumptions);

// Two keys that cannot both be true: Invalid at the first one.
Error contradiction(const ConfigReader& reader, std::string_view key, std::string want, std::string found);

// Integers of [min, max]; none when the key is absent. Invalid for anything else, at its place in the list.
Result<std::vector<int64_t>> read_list(const ConfigReader& reader, std::string_view key, int64_t min, int64_t max);
// Layers of n_layers, each once, in ascending order; none when the key is absent.
Result<std::vector<int64_t>> read_layer_list(const ConfigReader& reader, std::string_view key, int64_t n_layers);

// One id, or the first of a list (generation configs name several ends); -1 when absent.
Result<int32_t> read_token_id(const ConfigReader& reader, std::string_view key);

Result<ScoreFunc> read_score_func(const ConfigReader& reader, ScoreFunc absent);

// quantization_config: FP8 blocks and the kind of activation scale.
Result<void> read_quantization(const ConfigReader& reader, ModelDescription& d);

// A rope_scaling object of type yarn ("default" changes nothing) at `place`.
Result<void> read_yarn(const ConfigReader& reader, const json::Value& scaling, std::string_view place,
                       RopeDescription& rope);

// rope_theta and rope_scaling of a model with latents (or transformers' rope_parameters): YaRN with its temperature.
Result<RopeDescription> read_latent_rope(const ConfigReader& reader);

// One layer for each of compress_ratios (or layer_types), which may go on behind the trunk: V4's attention with its two
// rotary bases, in config.json's spelling.
Result<std::vector<LayerDescription>> read_v4_attention(const ConfigReader& reader);

// The candidate blocks of a description whose layers have their roles; nothing when no layer has one. Errors:
// Unsupported (block size), Invalid (fewer entries than index_topk).
Result<void> check_candidates(const ConfigReader& reader, const ModelDescription& d);

// Engram's sizes, and engram_rows of the layers of `d`; nothing when engram_layer_ids is empty or absent. The tables'
// sizes follow from the primes: Invalid when engram_num_embeddings says others.
Result<void> read_engram(const ConfigReader& reader, ModelDescription& d);

// num_hidden_layers (n_layers).
Result<int64_t> read_layer_count(const ConfigReader& reader, std::optional<int64_t> absent);

// --- one translation per family -------------------------------------------------------------------------------------

Result<ModelDescription> parse_deepseek_v3(const ConfigReader& reader);  // V3, R1, V3.1 and V3.2
Result<ModelDescription> parse_deepseek_v4(const ConfigReader& reader);
Result<ModelDescription> parse_deepseek_v41(const ConfigReader& reader);
Result<ModelDescription> parse_hadal(const ConfigReader& reader);  // our own: docs/hadal-family.md

}  // namespace hadal
