// Binds the tensors of a checkpoint to a description: one walk over the naming tables, then a look at what is left.
#include "model/weight_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/format.h"
#include "model/gguf/latent_halves.h"
#include "model/stored_weights.h"
#include "model/tensor_names.h"

namespace hadal {
namespace {

// --- names -----------------------------------------------------------------------------------------------------------

constexpr std::string_view kModelPrefix = "model.";
// Channels of a row of an Engram table that share a scale.
constexpr int64_t kEngramScaleCols = 32;
// X.weight has its scales in X.scale (official) or X.weight_scale_inv (V3, transformers).
std::vector<std::string> scale_names(std::string_view name) {
  constexpr std::string_view kWeight = ".weight";
  std::vector<std::string> names;
  if (name.ends_with(kWeight)) names.push_back(std::string(name.substr(0, name.size() - kWeight.size())) + ".scale");
  names.push_back(std::string(name) + "_scale_inv");
  return names;
}

// Tensors that some families have, for the hint of an error. The first row that fits, and that the description has no
// use for, wins.
struct TellTale {
  std::string_view part;
  std::string_view family;
};
constexpr TellTale kTellTales[] = {
    {"engram.", "DeepSeek-V4.1"},
    {"markov_head.", "DeepSeek-V4 with DSpark's draft module"},
    {"vision.", "DeepSeek-V4 with vision"},
    {"indexer.wk.", "DeepSeek-V3.2"},
    {"kv_a_proj_with_mqa", "DeepSeek-V2 or V3"},
    {".wkv_a.", "DeepSeek-V3"},
    {"attn_sink", "DeepSeek-V4"},
    {"self_attn.sinks", "DeepSeek-V4"},
};

bool is_expected(const ModelDescription& d, std::string_view part) {
  for (const TensorRow<LayerWeights>& row : layer_rows()) {
    const bool is_in_name =
        row.official.find(part) != std::string_view::npos || row.transformers.find(part) != std::string_view::npos;
    const auto has_it = [&](const LayerDescription& layer) { return is_present(row.presence, d, layer); };
    if (is_in_name && std::any_of(d.layers.begin(), d.layers.end(), has_it)) return true;
  }
  return false;
}

std::string family_hint(const ModelDescription& d, const Checkpoint& checkpoint) {
  // A checkpoint of V4.1 has parts, drafts and vision, that its description does not name.
  const bool has_unnamed_parts = d.residual == ResidualKind::kLaggedHyperConnections;
  for (const TellTale& tale : kTellTales) {
    if (has_unnamed_parts || is_expected(d, tale.part)) continue;
    for (const StoredTensor& tensor : checkpoint.tensors()) {
      if (tensor.name.find(tale.part) == std::string_view::npos) continue;
      return fmt::format("this looks like a checkpoint of {}; config.json says another. `hadal inspect DIR` shows both",
                         tale.family);
    }
  }
  return "config.json and the weights may belong to different models. `hadal inspect DIR` shows both";
}

}  // namespace

struct WeightSet::Impl {
  ModelWeights weights;
  OwnedNumbers owned;
  std::vector<int32_t> engram_classes;
  uint64_t mapped_bytes = 0;
  int64_t n_skipped_vision = 0;
  bool has_block_types = false;
};

namespace {

// --- binding ---------------------------------------------------------------------------------------------------------

// What a binding fills.
struct Target {
  ModelWeights& weights;
  OwnedNumbers& owned;
};

class Binder {
 public:
  Binder(const ModelDescription& description, const Checkpoint& checkpoint, Target target)
      : d_(description),
        checkpoint_(checkpoint),
        target_(target),
        is_gguf_(checkpoint.gguf() != nullptr),
        is_used_(checkpoint.tensors().size(), false) {}

  Result<void> bind() {
    ModelWeights& weights = target_.weights;
    for (const TensorRow<ModelWeights>& row : model_rows()) {
      if (is_present(row.presence, d_, {})) HADAL_TRY(bind_row(row, "", {}, weights));
    }
    weights.layers.resize(d_.layers.size());
    for (size_t l = 0; l < d_.layers.size(); ++l) {
      HADAL_TRY(bind_layer(layer_prefix(l), d_.layers[l], weights.layers[l]));
    }
    if (has_drafts()) {
      weights.mtp.resize(d_.mtp_layers.size());
      for (size_t s = 0; s < d_.mtp_layers.size(); ++s) {
        HADAL_TRY(bind_draft(draft_prefix_of(s), d_.mtp_layers[s], weights.mtp[s]));
      }
    }
    return check_leftovers();
  }

  uint64_t mapped_bytes() const { return mapped_bytes_; }
  int64_t n_skipped_vision() const { return n_skipped_vision_; }
  bool has_block_types() const { return has_block_types_; }

 private:
  // The vision tower of V4.1, what joins it to the text, and the router's bias for its tokens. Text needs none of it.
  bool is_vision(std::string_view name) const {
    if (d_.residual != ResidualKind::kLaggedHyperConnections) return false;
    if (name.starts_with(kModelPrefix)) name.remove_prefix(kModelPrefix.size());
    return name.starts_with("vision.") || name.starts_with("aligner.") || name.starts_with("image_") ||
           name.ends_with("gate.bias_vl");
  }

  std::string layer_prefix(size_t l) const { return is_gguf_ ? gguf_layer_prefix(l) : fmt::format("layers.{}.", l); }
  std::string draft_prefix_of(size_t s) const {
    return is_gguf_ ? gguf_layer_prefix(d_.layers.size() + s) : draft_prefix(d_, s);
  }

  bool is_draft(std::string_view name) const {
    if (is_gguf_) return name.starts_with(draft_prefix_of(0));
    if (name.starts_with(kModelPrefix)) name.remove_prefix(kModelPrefix.size());
    return name.starts_with("mtp.") || name.starts_with(draft_prefix(d_, 0));
  }
  // Published files may repeat the embedding and the head in the draft layers; the release's convert.py drops them.
  bool is_draft_copy(std::string_view name) const {
    return is_draft(name) && (name.find("emb") != std::string_view::npos || name.ends_with("head.weight"));
  }

  // A checkpoint may leave out the draft layers that its config announces.
  bool has_drafts() const {
    return !d_.mtp_layers.empty() &&
           std::any_of(checkpoint_.tensors().begin(), checkpoint_.tensors().end(), [&](const StoredTensor& tensor) {
             return is_draft(tensor.name) && !is_draft_copy(tensor.name);
           });
  }

  Result<void> bind_draft(const std::string& prefix, const LayerDescription& layer, MtpWeights& weights) {
    HADAL_TRY(bind_layer(prefix, layer, weights.block));
    for (const TensorRow<MtpWeights>& row : mtp_rows()) {
      if (is_present(row.presence, d_, layer)) HADAL_TRY(bind_row(row, prefix, layer, weights));
    }
    return {};
  }

  Result<void> bind_layer(const std::string& prefix, const LayerDescription& layer, LayerWeights& weights) {
    for (const TensorRow<LayerWeights>& row : layer_rows()) {
      if (is_present(row.presence, d_, layer)) HADAL_TRY(bind_row(row, prefix, layer, weights));
    }
    if (layer.ffn != FfnKind::kMoe) return {};
    weights.experts.resize(static_cast<size_t>(d_.n_routed_experts));
    if (is_gguf_) {
      const bool is_fused = find({prefix + std::string(gguf_fused_experts().front().name)}) != nullptr;
      for (const StackedExperts& stack : is_fused ? gguf_fused_experts() : gguf_experts())
        HADAL_TRY(bind_stack(stack, prefix, layer, weights.experts));
      return {};
    }
    if (find({prefix + std::string(stacked_experts().front().name)}) != nullptr) {
      for (const StackedExperts& stack : stacked_experts())
        HADAL_TRY(bind_stack(stack, prefix, layer, weights.experts));
      return {};
    }
    for (size_t e = 0; e < weights.experts.size(); ++e) {
      for (const TensorRow<ExpertWeights>& row : expert_rows()) {
        HADAL_TRY(bind_row(row, prefix, layer, weights.experts[e], static_cast<int64_t>(e)));
      }
    }
    return {};
  }

  template <class Owner>
  Result<void> bind_row(const TensorRow<Owner>& row, const std::string& prefix, const LayerDescription& layer,
                        Owner& owner, int64_t expert = 0) {
    const auto named = [&](std::string_view name) { return name.empty() ? "" : prefix + with_expert(name, expert); };
    const TensorShape shape = shape_of(row.dims, layer);
    const std::vector<std::string> names =
        is_gguf_ ? gguf_names(prefix, row.gguf)
                 : std::vector<std::string>{named(row.official), named(row.transformers), named(row.variant)};
    const StoredTensor* tensor = find(names);
    if constexpr (std::is_same_v<Owner, LayerWeights>) {
      if (is_gguf_ && tensor == nullptr && row.gguf == kGgufLatents) return bind_latent_halves(prefix, owner);
    }
    if (tensor == nullptr)
      return missing(names.empty() ? std::string(row.official) : names.front(), names.size() > 1 ? names[1] : "",
                     shape);
    HADAL_TRY(std::visit([&](auto slot) { return fill(slot(owner), *tensor, shape, row.kind); }, row.slot));
    if constexpr (std::is_same_v<Owner, LayerWeights>) {
      if (row.gguf == kGgufLatents) owner.wkv_b = taken_out_of_blocks(owner.wkv_b, target_.owned);
    }
    return {};
  }

  TensorShape shape_of(const Dims& dims, const LayerDescription& layer) const {
    TensorShape shape = TensorShape::of(dims, d_, layer);
    if (is_gguf_) shape.source = "the metadata";
    return shape;
  }

  Result<void> bind_latent_halves(const std::string& prefix, LayerWeights& weights) {
    const std::string names[] = {prefix + std::string(kGgufLatentKeys), prefix + std::string(kGgufLatentValues)};
    const StoredTensor* keys = find({names[0]});
    const StoredTensor* values = find({names[1]});
    const TensorShape shape{.sizes = {d_.n_heads, d_.kv_lora_rank, d_.qk_nope_head_dim},
                            .formula = "num_attention_heads x kv_lora_rank x qk_nope_head_dim",
                            .source = "the metadata"};
    if (keys == nullptr || values == nullptr)
      return missing(names[keys == nullptr ? 0 : 1], prefix + std::string(kGgufLatents), shape);
    HADAL_ASSIGN(weights.wkv_b, join_latent_halves(*keys, *values, d_, target_.owned));
    return {};
  }

  Result<void> fill(Weight& weight, const StoredTensor& tensor, const TensorShape& shape, ExpectedTensor::Kind kind) {
    HADAL_ASSIGN(weight, read(tensor, shape, rules(kind)));
    return {};
  }

  Result<void> fill(Vector& vector, const StoredTensor& tensor, const TensorShape& shape, ExpectedTensor::Kind) {
    HADAL_ASSIGN(vector, read_vector(tensor, shape, target_.owned));
    return {};
  }

  Result<void> fill(std::span<const int32_t>& table, const StoredTensor& tensor, const TensorShape& shape,
                    ExpectedTensor::Kind) {
    HADAL_ASSIGN(table, read_expert_table(tensor, shape, d_.n_routed_experts, target_.owned));
    return {};
  }

  Result<void> bind_stack(const StackedExperts& stack, const std::string& prefix, const LayerDescription& layer,
                          std::vector<ExpertWeights>& experts) {
    TensorShape shape = shape_of(stack.dims, layer);
    const int64_t expert_rows = shape.sizes.front();
    const int64_t part_rows = expert_rows / stack.parts;
    shape.sizes.insert(shape.sizes.begin(), d_.n_routed_experts);
    shape.formula = "n_routed_experts x " + shape.formula;

    const std::string name = prefix + std::string(stack.name);
    const StoredTensor* tensor = find({name});
    if (tensor == nullptr) return missing(name, "", shape);
    MatrixRules matrix_rules = rules(ExpectedTensor::Kind::kExpertMatrix);
    matrix_rules.slice_rows = part_rows;
    HADAL_ASSIGN(const Weight all, read(*tensor, shape, matrix_rules));
    for (size_t e = 0; e < experts.size(); ++e) {
      for (int part = 0; part < stack.parts; ++part) {
        const int64_t begin = static_cast<int64_t>(e) * expert_rows + part * part_rows;
        experts[e].*stack.members[static_cast<size_t>(part)] = all.row_slice(begin, part_rows);
      }
    }
    return {};
  }

  Result<Weight> read(const StoredTensor& tensor, const TensorShape& shape, const MatrixRules& matrix_rules) {
    const StoredTensor* scale = needs_scale(tensor) ? find(scale_names(tensor.name)) : nullptr;
    HADAL_ASSIGN(const Weight weight, read_matrix(tensor, scale, shape, matrix_rules, target_.owned));
    has_block_types_ |= is_block_type(weight.dtype);
    if (weight.data == tensor.bytes.data()) mapped_bytes_ += tensor.bytes.size();
    if (scale != nullptr && weight.scale == scale->bytes.data()) mapped_bytes_ += scale->bytes.size();
    return weight;
  }

  MatrixRules rules(ExpectedTensor::Kind kind) const {
    // A table of 100 GB is not read either. Its rows never share scales, whatever the other weights do.
    if (kind == ExpectedTensor::Kind::kEngramTable) {
      return {.block_rows = 1, .block_cols = kEngramScaleCols, .reads_scales = false, .slice_rows = 0};
    }
    // The routed experts' scales are left to `inspect --verify`: a release has 9 GB of them, and reading those would
    // break the promise on start-up.
    return {.block_rows = d_.weight_block_rows,
            .block_cols = d_.weight_block_cols,
            .reads_scales = kind != ExpectedTensor::Kind::kExpertMatrix,
            .slice_rows = 0,
            .has_split_rows = is_gguf_};
  }

  // The first of the names that is there, with or without "model." before it; it counts as used.
  const StoredTensor* find(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      if (name.empty()) continue;
      const StoredTensor* tensor = checkpoint_.find(name);
      if (tensor == nullptr) {
        tensor = checkpoint_.find(name.starts_with(kModelPrefix) ? name.substr(kModelPrefix.size())
                                                                 : std::string(kModelPrefix) + name);
      }
      if (tensor == nullptr) continue;
      is_used_[static_cast<size_t>(tensor - checkpoint_.tensors().data())] = true;
      return tensor;
    }
    return nullptr;
  }

  Error missing(const std::string& official, const std::string& transformers, const TensorShape& shape) const {
    return Error{.code = ErrorCode::kNotFound,
                 .what = "weight is missing",
                 .in = fmt::format("{}: \"{}\"", checkpoint_.place(), official),
                 .want = fmt::format("{}   ({})", format_shape(shape.sizes), shape.explained()),
                 .found = transformers.empty() ? "no such tensor"
                                               : fmt::format("no such tensor, and no \"{}\" either", transformers),
                 .hint = ""};
  }

  Result<void> check_leftovers() {
    for (size_t i = 0; i < is_used_.size(); ++i) {
      const StoredTensor& tensor = checkpoint_.tensors()[i];
      if (is_used_[i] || is_draft_copy(tensor.name)) continue;
      if (is_vision(tensor.name)) {
        ++n_skipped_vision_;
        continue;
      }
      // Without draft layers in the description (DSpark's stages are none) the trunk alone is asked for.
      if (d_.mtp_layers.empty() && is_draft(tensor.name)) continue;
      return Error{.code = ErrorCode::kInvalid,
                   .what = "checkpoint has a tensor that the model does not use",
                   .in = tensor.place(),
                   .want = "no such tensor",
                   .found = fmt::format("{} {}", dtype_name(tensor.dtype), format_shape(tensor.shape)),
                   .hint = ""};
    }
    return {};
  }

  const ModelDescription& d_;
  const Checkpoint& checkpoint_;
  Target target_;
  bool is_gguf_;
  std::vector<bool> is_used_;  // by place in checkpoint_.tensors()
  uint64_t mapped_bytes_ = 0;
  int64_t n_skipped_vision_ = 0;
  bool has_block_types_ = false;
};

}  // namespace

WeightSet::WeightSet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WeightSet::WeightSet(WeightSet&&) noexcept = default;
WeightSet& WeightSet::operator=(WeightSet&&) noexcept = default;
WeightSet::~WeightSet() = default;

Result<WeightSet> WeightSet::bind(const ModelDescription& description, const Checkpoint& checkpoint) {
  auto impl = std::make_unique<Impl>();
  Binder binder(description, checkpoint, {impl->weights, impl->owned});
  if (Result<void> result = binder.bind(); !result.ok()) {
    Error error = std::move(result).error();
    const bool is_mismatch = error.code == ErrorCode::kInvalid || error.code == ErrorCode::kNotFound;
    if (is_mismatch && error.hint.empty()) error.hint = family_hint(description, checkpoint);
    return error;
  }
  impl->mapped_bytes = binder.mapped_bytes();
  impl->n_skipped_vision = binder.n_skipped_vision();
  impl->has_block_types = binder.has_block_types();
  return WeightSet(std::move(impl));
}

const ModelWeights& WeightSet::weights() const {
  return impl_->weights;
}
bool WeightSet::has_mtp() const {
  return !impl_->weights.mtp.empty();
}
int64_t WeightSet::n_skipped_vision() const {
  return impl_->n_skipped_vision;
}
void WeightSet::set_engram_classes(std::vector<int32_t> classes) {
  impl_->engram_classes = std::move(classes);
  impl_->weights.engram_classes = impl_->engram_classes;
}
bool WeightSet::has_block_types() const {
  return impl_->has_block_types;
}
uint64_t WeightSet::owned_bytes() const {
  return impl_->owned.bytes();
}
uint64_t WeightSet::mapped_bytes() const {
  return impl_->mapped_bytes;
}

}  // namespace hadal
