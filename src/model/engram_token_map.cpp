#include "model/engram_token_map.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/json.h"
#include "model/description_fields.h"
#include "model/engram_token_classes.h"

namespace hadal {
namespace {

// 16 bytes for each token of the largest vocabulary.
constexpr uint64_t kFileBytesMax = uint64_t{16} << 24;

Error wrong(std::string_view name, std::string want, std::string found) {
  return Error{.code = ErrorCode::kInvalid,
               .what = "Engram's token map does not fit the model",
               .in = std::string(name),
               .want = std::move(want),
               .found = std::move(found),
               .hint = "every hash depends on every class: take the map that was made for this vocabulary"};
}

Error wrong_size(std::string_view name, const ModelDescription& d, std::string found) {
  return wrong(name, fmt::format("{} tokens (vocab_size)", d.vocab_size), std::move(found));
}

Error wrong_class(std::string_view name, const ModelDescription& d, size_t token, std::string found) {
  return wrong(fmt::format("{}, token {}", name, token),
               fmt::format("a class of 0 to {} (engram_compressed_vocab_size - 1)", d.engram_n_classes - 1),
               std::move(found));
}

}  // namespace

Result<std::vector<int32_t>> parse_engram_token_map(std::string_view text, const ModelDescription& d,
                                                    std::string_view name) {
  HADAL_ASSIGN(const json::Value list, json::parse(text, std::string(name)));
  if (!list.is_array()) return wrong(name, "a list: one class per token", std::string(json::kind_name(list.kind())));
  const auto n_tokens = static_cast<int64_t>(list.items().size());
  if (n_tokens != d.vocab_size) return wrong_size(name, d, fmt::format("{} tokens", n_tokens));
  std::vector<int32_t> classes;
  classes.reserve(list.items().size());
  for (const json::Value& item : list.items()) {
    const std::optional<int64_t> v = item.as_int();
    if (!v || *v < 0 || *v >= d.engram_n_classes) {
      return wrong_class(name, d, classes.size(), json::excerpt(item));
    }
    classes.push_back(static_cast<int32_t>(*v));
  }
  return classes;
}

Result<std::vector<int32_t>> parse_engram_token_map_bytes(std::span<const std::byte> bytes, const ModelDescription& d,
                                                          std::string_view name) {
  if (bytes.size() != static_cast<size_t>(d.vocab_size) * sizeof(int32_t)) {
    return wrong_size(name, d, fmt::format("{} bytes, 4 a token", bytes.size()));
  }
  std::vector<int32_t> classes(static_cast<size_t>(d.vocab_size));
  std::memcpy(classes.data(), bytes.data(), bytes.size());
  for (size_t t = 0; t < classes.size(); ++t) {
    if (classes[t] >= 0 && classes[t] < d.engram_n_classes) continue;
    return wrong_class(name, d, t, fmt::format("{}", classes[t]));
  }
  return classes;
}

Result<std::vector<int32_t>> read_engram_token_map(ModelFiles& files, const ModelDescription& d,
                                                   const Tokenizer* tokenizer) {
  if (!has_part(d, ModelPart::kEngram)) return std::vector<int32_t>();
  const auto place = [&](std::string_view file) { return fmt::format("{}/{}", files.place(), file); };
  if (!files.has(kEngramTokenMapFile) && files.has(kEngramTokenMapBytesFile)) {
    HADAL_ASSIGN(const std::span<const std::byte> bytes, files.map(kEngramTokenMapBytesFile));
    return parse_engram_token_map_bytes(bytes, d, place(kEngramTokenMapBytesFile));
  }
  if (!files.has(kEngramTokenMapFile)) {
    if (tokenizer != nullptr) return engram_token_classes(*tokenizer, d, place("tokenizer.json"));
    return Error{.code = ErrorCode::kNotFound,
                 .what = "the model has no token map for Engram",
                 .in = files.place(),
                 .want = fmt::format("{} (or {}) beside the weights: one class per token", kEngramTokenMapFile,
                                     kEngramTokenMapBytesFile),
                 .found = "none",
                 .hint = "it is made from the tokenizer: put the release's tokenizer.json there"};
  }
  HADAL_ASSIGN(const std::string_view text, files.text(kEngramTokenMapFile, kFileBytesMax));
  return parse_engram_token_map(text, d, place(kEngramTokenMapFile));
}

std::string engram_token_map_text(std::span<const int32_t> classes) {
  return fmt::format("[{}]\n", fmt::join(classes, ","));
}

}  // namespace hadal
