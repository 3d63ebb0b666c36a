#include "engine/loaded_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "device/cpu/host_memory.h"
#include "engine/model_text.h"
#include "formats/gguf/gguf_shards.h"
#include "model/engram_token_map.h"
#include "model/gguf/gguf_config.h"
#include "plan/step_cost.h"

namespace hadal {
namespace {

constexpr uint64_t kConfigBytesMax = 16 << 20;
constexpr size_t kIdentityBytes = 64;  // of each small tensor

// A missing file is nothing; a file that is there must be right.
Result<std::optional<json::Value>> optional_json(ModelFiles& files, std::string_view name) {
  if (!files.has(name)) return std::optional<json::Value>();
  HADAL_ASSIGN(const std::string_view text, files.text(name, kConfigBytesMax));
  HADAL_ASSIGN(json::Value value, json::parse(text, std::string(files.place()) + "/" + std::string(name)));
  return std::optional<json::Value>(std::move(value));
}

Result<ModelDescription> read_description(ModelFiles& files, const Checkpoint* checkpoint) {
  if (checkpoint != nullptr && checkpoint->gguf() != nullptr)
    return parse_gguf_description(*checkpoint->gguf(), checkpoint->tensors(), files.place());
  HADAL_ASSIGN(const std::optional<json::Value> config, optional_json(files, "config.json"));
  if (config) return parse_model_config(*config, files.place() + "/config.json");
  return Error{.code = ErrorCode::kNotFound,
               .what = "the model has no configuration",
               .in = files.place(),
               .want = "config.json beside the weights",
               .found = "none",
               .hint = "name the folder that holds config.json and the .safetensors files"};
}

double number_or(const json::Value& object, std::string_view key, double fallback) {
  const json::Value* value = object.find(key);
  return value == nullptr ? fallback : value->as_double().value_or(fallback);
}

bool is_expert(std::string_view name) {
  return name.find(".experts.") != std::string_view::npos || name.find("_exps.") != std::string_view::npos;
}

GenerationDefaults clamped(double temperature, double top_p) {
  return {.temperature = std::clamp(temperature, 0.0, 10.0), .top_p = std::clamp(top_p, 0.0, 1.0)};
}

// From generation_config.json, or from the metadata of a GGUF file, which may lie among anybody's files.
Result<GenerationDefaults> read_generation_defaults(ModelFiles& files, const GgufFile* gguf) {
  if (gguf != nullptr) {
    const auto number = [&](std::string_view key) {
      const GgufValue* value = gguf->find(key);
      return value == nullptr ? 1.0 : value->as_real().value_or(1.0);
    };
    return clamped(number("general.sampling.temp"), number("general.sampling.top_p"));
  }
  HADAL_ASSIGN(const std::optional<json::Value> config, optional_json(files, "generation_config.json"));
  if (!config) return GenerationDefaults{};
  return clamped(number_or(*config, "temperature", 1.0), number_or(*config, "top_p", 1.0));
}

}  // namespace

std::string model_identity(const ModelDescription& description, const Checkpoint& checkpoint) {
  Sha256Hasher hasher;
  hasher.update(description_identity(description));
  for (const StoredTensor& tensor : checkpoint.tensors()) {
    hasher.update(tensor.name);
    hasher.update(dtype_name(tensor.dtype));
    hasher.update(std::as_bytes(std::span(tensor.shape)));
    if (!is_expert(tensor.name)) hasher.update(tensor.bytes.first(std::min(kIdentityBytes, tensor.bytes.size())));
  }
  return to_hex(hasher.finish()).substr(0, 32);
}

Result<std::shared_ptr<const LoadedModel>> LoadedModel::open(ModelFiles files) {
  const uint64_t program_bytes = resident_bytes() - std::min(resident_bytes(), resident_anonymous_bytes());
  // What is missing is told in this order: configuration, then weights. A GGUF file has both.
  Result<Checkpoint> opened = Checkpoint::open(files);
  if (!opened.ok() && is_gguf_model(files)) return std::move(opened).error();
  HADAL_ASSIGN(ModelDescription description, read_description(files, opened.ok() ? &*opened : nullptr));
  HADAL_ASSIGN(Checkpoint checkpoint, std::move(opened));
  HADAL_ASSIGN(WeightSet weights, WeightSet::bind(description, checkpoint));
  if (!weights.has_mtp()) description.mtp_layers.clear();
  auto model = std::make_shared<LoadedModel>(std::move(files), std::move(checkpoint), std::move(description),
                                             std::move(weights));

  model->program_file_bytes = program_bytes;
  const WeightBytes matrices = weight_bytes(model->weights.weights(), true);
  const uint64_t matrix_bytes = matrices.experts + matrices.engram_tables + matrices.others;
  model->widened_source_bytes =
      model->checkpoint.tensor_bytes() - std::min(model->checkpoint.tensor_bytes(), matrix_bytes);

  const GgufFile* gguf = model->checkpoint.gguf();
  HADAL_ASSIGN(model->tokenizer, read_tokenizer(model->files, gguf, model->description));
  if (model->tokenizer && gguf == nullptr) {
    HADAL_ASSIGN(const std::span<const std::byte> file, model->files.map("tokenizer.json"));
    model->tokenizer_file_bytes = file.size();
  }
  const Tokenizer* tokenizer = model->tokenizer ? &*model->tokenizer : nullptr;
  HADAL_ASSIGN(std::vector<int32_t> classes, read_engram_token_map(model->files, model->description, tokenizer));
  model->weights.set_engram_classes(std::move(classes));
  HADAL_ASSIGN(model->prompt_encoding, find_prompt_encoding(model->files, gguf, model->description, tokenizer));
  HADAL_ASSIGN(model->generation, read_generation_defaults(model->files, gguf));
  model->identity = model_identity(model->description, model->checkpoint);
  // JSON trees of headers and tokenizer are gone, and nothing else of their size will be allocated soon.
  release_freed_memory();
  return std::shared_ptr<const LoadedModel>(std::move(model));
}

}  // namespace hadal
