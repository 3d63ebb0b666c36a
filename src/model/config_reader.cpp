#include "model/config_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "model/description_fields.h"

namespace hadal {

Error ConfigReader::wrong(std::string_view key, std::string want, const json::Value* found, ErrorCode code) const {
  return Error{.code = code,
               .what = found == nullptr ? "config lacks a key" : "config has a wrong value",
               .in = fmt::format("{}: {}", name, key),
               .want = std::move(want),
               .found = found == nullptr ? "nothing" : json::excerpt(*found),
               .hint = ""};
}

const json::Value* ConfigReader::member(const json::Value& object, std::string_view key) {
  const json::Value* value = object.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<int64_t> ConfigReader::integer(const json::Value* value, std::string_view key,
                                      std::optional<int64_t> absent) const {
  if (value == nullptr && absent) return *absent;
  const std::optional<int64_t> v = value == nullptr ? std::nullopt : value->as_int();
  if (!v) return wrong(key, "an integer", value);
  return *v;
}

Result<double> ConfigReader::real(const json::Value* value, std::string_view key, std::optional<double> absent) const {
  if (value == nullptr && absent) return *absent;
  const std::optional<double> v = value == nullptr ? std::nullopt : value->as_double();
  if (!v || !std::isfinite(*v)) return wrong(key, "a number", value);
  return *v;
}

Result<void> read_numbers(const ConfigReader& reader, std::span<const ConfigKey<int64_t>> keys, ModelDescription& d) {
  for (const ConfigKey<int64_t>& k : keys) {
    HADAL_ASSIGN(d.*k.member,
                 reader.integer(reader.key(k.key, k.args_key), reader.is_args ? k.args_default : k.default_value));
  }
  return {};
}

Result<void> read_numbers(const ConfigReader& reader, std::span<const ConfigKey<double>> keys, ModelDescription& d) {
  for (const ConfigKey<double>& k : keys) {
    HADAL_ASSIGN(d.*k.member,
                 reader.real(reader.key(k.key, k.args_key), reader.is_args ? k.args_default : k.default_value));
  }
  return {};
}

Result<void> check_assumptions(const ConfigReader& reader, std::span<const ConfigAssumption> assumptions) {
  for (const ConfigAssumption& assumption : assumptions) {
    const json::Value* value = reader.member(assumption.key);
    if (value == nullptr || *value == assumption.value) continue;
    return reader.wrong(assumption.key, json::dump(assumption.value), value, ErrorCode::kUnsupported);
  }
  return {};
}

Error contradiction(const ConfigReader& reader, std::string_view key, std::string want, std::string found) {
  return Error{.code = ErrorCode::kInvalid,
               .what = "config contradicts itself",
               .in = fmt::format("{}: {}", reader.name, key),
               .want = std::move(want),
               .found = std::move(found),
               .hint = ""};
}

// Integers of [min, max]; none when the key is absent.
Result<std::vector<int64_t>> read_list(const ConfigReader& reader, std::string_view key, int64_t min, int64_t max) {
  std::vector<int64_t> values;
  const json::Value* list = reader.member(key);
  if (list == nullptr) return values;
  if (!list->is_array()) return reader.wrong(key, "a list of integers", list);
  for (const json::Value& item : list->items()) {
    const std::optional<int64_t> v = item.as_int();
    if (!v || *v < min || *v > max) {
      return reader.wrong(fmt::format("{}[{}]", key, values.size()), fmt::format("{} to {}", min, max), &item);
    }
    values.push_back(*v);
  }
  return values;
}

// Layers, each once, in ascending order.
Result<std::vector<int64_t>> read_layer_list(const ConfigReader& reader, std::string_view key, int64_t n_layers) {
  HADAL_ASSIGN(std::vector<int64_t> layers, read_list(reader, key, 0, n_layers - 1));
  if (std::adjacent_find(layers.begin(), layers.end(), std::greater_equal<>()) != layers.end()) {
    return reader.wrong(key, "layers in ascending order, each once", reader.member(key));
  }
  return layers;
}

Result<ScoreFunc> read_score_func(const ConfigReader& reader, ScoreFunc absent) {
  const std::string_view key = reader.key("scoring_func", "score_func");
  const json::Value* value = reader.member(key);
  if (value == nullptr) return absent;
  for (const ScoreFunc func : {ScoreFunc::kSqrtSoftplus, ScoreFunc::kSigmoid, ScoreFunc::kSoftmax}) {
    if (value->is_string() && value->as_string() == score_func_name(func)) return func;
  }
  return reader.wrong(key, "\"sqrtsoftplus\", \"sigmoid\" or \"softmax\"", value, ErrorCode::kUnsupported);
}

Result<int32_t> read_token_id(const ConfigReader& reader, std::string_view key) {
  const json::Value* value = reader.member(key);
  if (value != nullptr && value->is_array() && !value->items().empty()) value = &value->items().front();
  HADAL_ASSIGN(const int64_t id, reader.integer(value, key, -1));
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  if (id < -1) return reader.wrong(key, "-1 (none) or more", value);
  if (id > kMax) return reader.wrong(key, fmt::format("at most {}", kMax), value);
  return static_cast<int32_t>(id);
}

Result<void> read_quantization(const ConfigReader& reader, ModelDescription& d) {
  const json::Value* config = reader.member("quantization_config");
  if (config == nullptr) return {};
  const json::Value* method = ConfigReader::member(*config, "quant_method");
  if (method == nullptr || method->as_string() != "fp8") {
    return reader.wrong("quantization_config.quant_method", "\"fp8\"", method, ErrorCode::kUnsupported);
  }
  const json::Value* format = ConfigReader::member(*config, "fmt");
  if (format != nullptr && format->as_string() != "e4m3") {
    return reader.wrong("quantization_config.fmt", "\"e4m3\"", format, ErrorCode::kUnsupported);
  }
  if (const json::Value* scale = ConfigReader::member(*config, "scale_fmt"); scale != nullptr) {
    if (scale->as_string() != "ue8m0") {
      return reader.wrong("quantization_config.scale_fmt", "\"ue8m0\"", scale, ErrorCode::kUnsupported);
    }
    d.activation_scale = ActivationScale::kPowerOfTwo;
  }
  const json::Value* block = ConfigReader::member(*config, "weight_block_size");
  if (block == nullptr) return {};
  for (const int64_t size : {int64_t{128}, int64_t{32}}) {
    if (block->items().size() == 2 && block->items()[0].as_int() == size && block->items()[1].as_int() == size) {
      d.weight_block_rows = d.weight_block_cols = size;
      return {};
    }
  }
  return reader.wrong("quantization_config.weight_block_size", "[128, 128] or [32, 32]", block,
                      ErrorCode::kUnsupported);
}

Result<void> read_yarn(const ConfigReader& reader, const json::Value& scaling, std::string_view place,
                       RopeDescription& rope) {
  const auto key = [&](std::string_view member) { return fmt::format("{}.{}", place, member); };
  const json::Value* type = ConfigReader::member(scaling, "type");
  if (type == nullptr) type = ConfigReader::member(scaling, "rope_type");
  if (type != nullptr && type->as_string() == "default") return {};
  if (type == nullptr || type->as_string() != "yarn")
    return reader.wrong(key("type"), "\"yarn\"", type, ErrorCode::kUnsupported);
  const auto real = [&](std::string_view member, std::optional<double> absent) {
    return reader.real(ConfigReader::member(scaling, member), key(member), absent);
  };
  HADAL_ASSIGN(rope.factor, real("factor", std::nullopt));
  HADAL_ASSIGN(rope.beta_fast, real("beta_fast", 32));
  HADAL_ASSIGN(rope.beta_slow, real("beta_slow", 1));
  constexpr std::string_view kOriginal = "original_max_position_embeddings";
  HADAL_ASSIGN(rope.original_tokens,
               reader.integer(ConfigReader::member(scaling, kOriginal), key(kOriginal), std::nullopt));
  return {};
}

Result<int64_t> read_layer_count(const ConfigReader& reader, std::optional<int64_t> absent) {
  const std::string_view key = reader.key("num_hidden_layers", "n_layers");
  HADAL_ASSIGN(const int64_t n_layers, reader.integer(key, absent));
  if (n_layers < 1 || n_layers > kLayersMax) {
    return reader.wrong(key, fmt::format("1 to {}", kLayersMax), reader.member(key));
  }
  return n_layers;
}

Result<void> check_candidates(const ConfigReader& reader, const ModelDescription& d) {
  if (!has_part(d, ModelPart::kCandidates)) return {};
  if (d.candidate_block_size < 1 || d.candidate_block_size > kCandidateBlockMax ||
      !std::has_single_bit(static_cast<uint64_t>(d.candidate_block_size))) {
    return reader.wrong("candidate_block_size", fmt::format("a power of two up to {}", kCandidateBlockMax),
                        reader.member("candidate_block_size"), ErrorCode::kUnsupported);
  }
  if (d.candidate_topk_blocks < 1 || d.candidate_topk_blocks > 1 << 16 ||
      d.candidate_topk_blocks * d.candidate_block_size < d.index_topk) {
    return contradiction(reader, "candidate_topk_blocks",
                         fmt::format("1 to {}, and blocks of {} that hold at least index_topk = {} entries", 1 << 16,
                                     d.candidate_block_size, d.index_topk),
                         fmt::format("{}", d.candidate_topk_blocks));
  }
  return {};
}

}  // namespace hadal
