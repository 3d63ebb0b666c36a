// The naming tables written out for one description.
#include <fmt/format.h>

#include "model/tensor_names.h"

namespace hadal {
namespace {

using Kind = ExpectedTensor::Kind;

template <class Owner>
void append_row(std::vector<ExpectedTensor>& out, const TensorRow<Owner>& row, const std::string& official_prefix,
                const std::string& transformers_prefix, const ModelDescription& d, const LayerDescription& layer,
                int64_t expert = 0) {
  const bool has_transformers = !row.transformers.empty() && !transformers_prefix.empty();
  out.push_back(
      {.official_name = official_prefix + with_expert(row.official, expert),
       .transformers_name = has_transformers ? transformers_prefix + with_expert(row.transformers, expert) : "",
       .shape = TensorShape::of(row.dims, d, layer).sizes,
       .kind = row.kind});
}

void append_layer(std::vector<ExpectedTensor>& out, const std::string& official_prefix,
                  const std::string& transformers_prefix, const ModelDescription& d, const LayerDescription& layer) {
  for (const TensorRow<LayerWeights>& row : layer_rows()) {
    if (is_present(row.presence, d, layer)) append_row(out, row, official_prefix, transformers_prefix, d, layer);
  }
  if (layer.ffn != FfnKind::kMoe) return;
  for (int64_t e = 0; e < d.n_routed_experts; ++e) {
    for (const TensorRow<ExpertWeights>& row : expert_rows()) {
      append_row(out, row, official_prefix, transformers_prefix, d, layer, e);
    }
  }
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const ModelDescription& d) {
  std::vector<ExpectedTensor> out;
  for (const TensorRow<ModelWeights>& row : model_rows()) {
    if (!is_present(row.presence, d, {})) continue;
    out.push_back({.official_name = std::string(row.official),
                   .transformers_name = std::string(row.transformers),
                   .shape = TensorShape::of(row.dims, d, {}).sizes,
                   .kind = row.kind});
  }
  for (size_t l = 0; l < d.layers.size(); ++l) {
    append_layer(out, fmt::format("layers.{}.", l), fmt::format("model.layers.{}.", l), d, d.layers[l]);
  }
  for (size_t s = 0; s < d.mtp_layers.size(); ++s) {
    const std::string prefix = draft_prefix(d, s);
    append_layer(out, prefix, "", d, d.mtp_layers[s]);
    for (const TensorRow<MtpWeights>& row : mtp_rows()) {
      if (is_present(row.presence, d, d.mtp_layers[s])) append_row(out, row, prefix, "", d, d.mtp_layers[s]);
    }
  }
  return out;
}

}  // namespace hadal
