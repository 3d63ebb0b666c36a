// Which family a config belongs to, and its translation. Nothing after this asks.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "model/config_reader.h"
#include "model/description_fields.h"

namespace hadal {
namespace {

struct Family {
  std::string_view model_type;
  std::string_view architecture;
  Result<ModelDescription> (*parse)(const ConfigReader& reader);
};
constexpr Family kFamilies[] = {
    {"deepseek_v4", "DeepseekV4ForCausalLM", parse_deepseek_v4},
    {"deepseek_v41", "DeepseekV41ForCausalLM", parse_deepseek_v41},
    {"deepseek_v41_text", "DeepseekV41ForCausalLM", parse_deepseek_v41},
    {"deepseek_v3", "DeepseekV3ForCausalLM", parse_deepseek_v3},
    {"deepseek_v32", "DeepseekV32ForCausalLM", parse_deepseek_v3},
    {"hadal", "HadalForCausalLM", parse_hadal},
};

// ModelArgs carry no model_type: keys that one family alone has tell them. The first row that fits wins.
struct ArgsTrait {
  std::string_view key;
  std::string_view model_type;  // of kFamilies; anything else is not supported yet
};
constexpr ArgsTrait kArgsTraits[] = {
    {"engram_layer_ids", "deepseek_v41"},
    {"kv_source_layers", "deepseek_v41"},
    {"kv_lora_rank", "deepseek_v3"},
    {"dim", "deepseek_v4"},
};

Error unknown_architecture(std::string_view name, std::string_view key, std::string found) {
  std::vector<std::string_view> known;
  for (const Family& family : kFamilies) known.push_back(family.model_type);
  return Error{.code = ErrorCode::kUnsupported,
               .what = "unknown architecture",
               .in = fmt::format("{}: {}", name, key),
               .want = fmt::format("{}", fmt::join(known, ", ")),
               .found = std::move(found),
               .hint = "Hadal runs models of the DeepSeek-V3 and V4 generations"};
}

template <class Matches>
const Family* find_family(const Matches& matches) {
  const auto found = std::find_if(std::begin(kFamilies), std::end(kFamilies), matches);
  return found == std::end(kFamilies) ? nullptr : found;
}

Result<const Family*> family_of(const ConfigReader& reader) {
  if (const json::Value* type = reader.member("model_type")) {
    const Family* family = find_family([&](const Family& f) { return type->as_string() == f.model_type; });
    if (family == nullptr) return unknown_architecture(reader.name, "model_type", json::excerpt(*type));
    return family;
  }
  if (const json::Value* list = reader.member("architectures")) {
    const Family* family = find_family([&](const Family& f) {
      return list->is_array() && std::any_of(list->items().begin(), list->items().end(),
                                             [&](const json::Value& v) { return v.as_string() == f.architecture; });
    });
    if (family == nullptr) return unknown_architecture(reader.name, "architectures", json::excerpt(*list));
    return family;
  }
  if (!reader.is_args) return unknown_architecture(reader.name, "model_type", "nothing");
  const auto trait = std::find_if(std::begin(kArgsTraits), std::end(kArgsTraits),
                                  [&](const ArgsTrait& t) { return reader.member(t.key) != nullptr; });
  if (trait == std::end(kArgsTraits)) return unknown_architecture(reader.name, "model_type", "nothing");
  const Family* family = find_family([&](const Family& f) { return f.model_type == trait->model_type; });
  if (family == nullptr) {
    return unknown_architecture(reader.name, trait->key, fmt::format("a key of {}", trait->model_type));
  }
  return family;
}

}  // namespace

Result<ModelDescription> parse_model_config(const json::Value& config, std::string_view name) {
  if (!config.is_object()) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "config is not an object",
                 .in = std::string(name),
                 .want = "{...}",
                 .found = std::string(json::kind_name(config.kind())),
                 .hint = ""};
  }
  // Told apart by the key of the model's width.
  const ConfigReader reader{
      .root = config, .name = name, .is_args = config.find("dim") != nullptr && config.find("hidden_size") == nullptr};
  HADAL_ASSIGN(const Family* family, family_of(reader));
  HADAL_ASSIGN(ModelDescription d, family->parse(reader));
  clear_absent_parts(d);
  HADAL_TRY(validate(d, name));
  return d;
}

}  // namespace hadal
