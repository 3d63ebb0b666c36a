// Engram's keys of a config -> ModelDescription: the sizes of the n-gram tables, and the layers that have one.
//
// Source: text_config of the V4.1 release, Engram of its inference/model.py.
#include <fmt/format.h>

#include <limits>

#include "model/config_reader.h"
#include "model/description_fields.h"
#include "model/engram_tables.h"

namespace hadal {
namespace {

Result<void> check_engram_sizes(const ConfigReader& reader, const ModelDescription& d) {
  for (const IntField& field : int_fields()) {
    if (field.part != ModelPart::kEngram) continue;
    if (d.*field.member >= field.min && d.*field.member <= field.max) continue;
    return reader.wrong(field.key, fmt::format("{} to {}", field.min, field.max), reader.member(field.key));
  }
  if (d.engram_head_dim % 32 != 0) {
    return reader.wrong("engram_head_dim", "a multiple of 32: channels share scales by 32",
                        reader.member("engram_head_dim"));
  }
  if (d.engram_pad_id >= d.vocab_size) {
    return reader.wrong("engram_pad_id", fmt::format("a token, below vocab_size = {}", d.vocab_size),
                        reader.member("engram_pad_id"));
  }
  return {};
}

}  // namespace

// The tables' sizes follow from the primes, so a config that says others was made for other hashes.
Result<void> read_engram(const ConfigReader& reader, ModelDescription& d) {
  const auto n_layers = static_cast<int64_t>(d.layers.size());
  HADAL_ASSIGN(const std::vector<int64_t> layers, read_layer_list(reader, "engram_layer_ids", n_layers));
  if (layers.empty()) return {};
  if (layers.size() > kEngramLayersMax) {
    return reader.wrong("engram_layer_ids", fmt::format("at most {} layers", kEngramLayersMax),
                        reader.member("engram_layer_ids"), ErrorCode::kUnsupported);
  }
  const json::Value* pad = reader.member("engram_pad_token_id");
  if (pad == nullptr) pad = reader.member("engram_pad_id");
  HADAL_ASSIGN(d.engram_pad_id, reader.integer(pad, "engram_pad_token_id", std::nullopt));
  HADAL_TRY(check_engram_sizes(reader, d));
  HADAL_ASSIGN(const std::vector<int64_t> rows, read_list(reader, "engram_num_embeddings", 1, INT64_MAX));
  if (rows.size() != layers.size()) {
    return contradiction(reader, "engram_num_embeddings",
                         fmt::format("{} tables: one for each of engram_layer_ids", layers.size()),
                         fmt::format("{}", rows.size()));
  }
  const EngramSizes sizes{.vocab_size = d.engram_vocab_size,
                          .max_ngram = d.engram_max_ngram,
                          .n_heads = d.engram_n_heads,
                          .n_classes = d.engram_n_classes};
  const std::vector<EngramTable> tables = engram_tables(sizes, layers);
  for (size_t i = 0; i < tables.size(); ++i) {
    if (tables[i].rows != rows[i] || tables[i].rows > std::numeric_limits<int32_t>::max()) {
      return contradiction(reader, fmt::format("engram_num_embeddings[{}]", i),
                           fmt::format("{} rows, below 2^31: the sum of the primes from engram_vocab_size = {} on",
                                       tables[i].rows, d.engram_vocab_size),
                           fmt::format("{} rows", rows[i]));
    }
    d.layers[tables[i].layer].engram_rows = rows[i];
  }
  return {};
}

}  // namespace hadal
