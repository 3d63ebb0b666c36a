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
  const auto named = [&](const std::string& prefix, std::string_view name) {
    return prefix + with_expert(name, expert);
  };
  ExpectedTensor tensor{.official_name = named(official_prefix, row.official),
                        .transformers_name = "",
                        .published_name = "",
                        .shape = TensorShape::of(row.dims, d, layer).sizes,
                        .kind = row.kind};
  const bool is_draft_of_v4 = transformers_prefix.empty() && !official_prefix.empty();
  if (!row.transformers.empty() && !is_draft_of_v4) {
    tensor.transformers_name = named(transformers_prefix, row.transformers);
  }
  // transformers stacks experts; a file has the third spelling.
  const std::string_view in_file = row.variant.empty() ? row.transformers : row.variant;
  tensor.published_name = is_published_as_transformers(d) ? named(transformers_prefix, in_file) : tensor.official_name;
  out.push_back(std::move(tensor));
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
    append_row(out, row, "", "", d, {});
  }
  for (size_t l = 0; l < d.layers.size(); ++l) {
    append_layer(out, fmt::format("layers.{}.", l), fmt::format("model.layers.{}.", l), d, d.layers[l]);
  }
  for (size_t s = 0; s < d.mtp_layers.size(); ++s) {
    const std::string prefix = draft_prefix(d, s);
    const std::string transformers_prefix = is_published_as_transformers(d) ? "model." + prefix : "";
    append_layer(out, prefix, transformers_prefix, d, d.mtp_layers[s]);
    for (const TensorRow<MtpWeights>& row : mtp_rows()) {
      if (is_present(row.presence, d, d.mtp_layers[s]))
        append_row(out, row, prefix, transformers_prefix, d, d.mtp_layers[s]);
    }
  }
  return out;
}

}  // namespace hadal
