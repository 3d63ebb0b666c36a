#include "model/convert/convert_plan.h"

#include <algorithm>

#include "base/check.h"
#include "model/tensor_names.h"

namespace hadal {
namespace {

using Kind = ExpectedTensor::Kind;

// Small matrices whose type does not follow from their kind.
struct RoleRule {
  std::string_view name;  // GGUF's, behind the prefix
  MatrixRole role;
};
constexpr RoleRule kRoleRules[] = {
    {"token_embd.weight", MatrixRole::kEmbedding},    {"output.weight", MatrixRole::kHead},
    {"ffn_gate_inp.weight", MatrixRole::kExact},      {"nextn.eh_proj.weight", MatrixRole::kDense},
    {"ffn_gate_exps.weight", MatrixRole::kExpertIn},  {"ffn_up_exps.weight", MatrixRole::kExpertIn},
    {"ffn_down_exps.weight", MatrixRole::kExpertOut},
};

MatrixRole role_of(std::string_view name, Kind kind) {
  for (const RoleRule& rule : kRoleRules) {
    if (rule.name == name) return rule.role;
  }
  if (kind == Kind::kF32Matrix) return MatrixRole::kExact;
  return kind == Kind::kBf16Matrix ? MatrixRole::kSmall : MatrixRole::kDense;
}

// The member that a row fills, as the source of what a target writes. Rows of tables give const members here.
template <class Owner>
ConvertTensor tensor_of(const TensorRow<Owner>& row, const Owner& owner, std::string name, std::vector<int64_t> shape) {
  ConvertTensor tensor{.out = {.name = std::move(name), .dtype = DType::kF32, .shape = std::move(shape)}, .source = {}};
  // A slot gives access to a member of a mutable owner; it is only read here.
  auto& slots = const_cast<Owner&>(owner);
  std::visit(
      [&](auto slot) {
        auto& member = slot(slots);
        using Member = std::decay_t<decltype(member)>;
        if constexpr (std::is_same_v<Member, Weight>) {
          tensor.source = std::vector<MatrixPart>{{.weight = &member, .row0 = 0, .rows = member.rows}};
        } else {
          tensor.source = member;
        }
      },
      row.slot);
  if (std::holds_alternative<std::span<const int32_t>>(tensor.source)) tensor.out.dtype = DType::kI32;
  return tensor;
}

bool is_matrix(const ConvertTensor& tensor) {
  return std::holds_alternative<std::vector<MatrixPart>>(tensor.source);
}

// --- GGUF ------------------------------------------------------------------------------------------------------------

class GgufPlan {
 public:
  GgufPlan(const ModelDescription& d, const TypeMix& mix) : d_(d), mix_(mix) {}

  std::vector<ConvertTensor> tensors;

  template <class Owner>
  void add_rows(std::span<const TensorRow<Owner>> rows, const Owner& owner, const std::string& prefix,
                const LayerDescription& layer) {
    for (const TensorRow<Owner>& row : rows) {
      if (!is_present(row.presence, d_, layer)) continue;
      if constexpr (std::is_same_v<Owner, LayerWeights>) {
        if (row.gguf == kGgufLatents) {
          add_latent_halves(owner.wkv_b, prefix);
          continue;
        }
      }
      HADAL_CHECK(!row.gguf.empty(), "no GGUF name", row.official);
      const std::string name = gguf_names("", row.gguf).front();
      ConvertTensor tensor = tensor_of(row, owner, prefix + name, TensorShape::of(row.dims, d_, layer).sizes);
      if (is_matrix(tensor)) tensor.out.dtype = type_of(mix_, role_of(name, row.kind), tensor.out.shape.back());
      tensors.push_back(std::move(tensor));
    }
  }

  void add_layer(const LayerWeights& weights, const std::string& prefix, const LayerDescription& layer) {
    add_rows(layer_rows(), weights, prefix, layer);
    if (layer.ffn != FfnKind::kMoe) return;
    for (const StackedExperts& stack : gguf_experts()) {
      std::vector<MatrixPart> parts;
      for (const ExpertWeights& expert : weights.experts) {
        const Weight& weight = expert.*stack.members[0];
        parts.push_back({.weight = &weight, .row0 = 0, .rows = weight.rows});
      }
      std::vector<int64_t> shape = TensorShape::of(stack.dims, d_, layer).sizes;
      shape.insert(shape.begin(), d_.n_routed_experts);
      const DType dtype = type_of(mix_, role_of(stack.name, Kind::kExpertMatrix), shape.back());
      tensors.push_back({.out = {.name = prefix + std::string(stack.name), .dtype = dtype, .shape = std::move(shape)},
                         .source = std::move(parts)});
    }
  }

 private:
  void add_latent_halves(const Weight& wkv_b, const std::string& prefix) {
    const int64_t nope = d_.qk_nope_head_dim, v_dim = d_.v_head_dim, C = d_.kv_lora_rank;
    std::vector<MatrixPart> keys, values;
    for (int64_t h = 0; h < d_.n_heads; ++h) {
      const int64_t row0 = h * (nope + v_dim);
      keys.push_back({.weight = &wkv_b, .row0 = row0, .rows = nope, .is_transposed = true});
      values.push_back({.weight = &wkv_b, .row0 = row0 + nope, .rows = v_dim});
    }
    tensors.push_back({.out = {.name = prefix + std::string(kGgufLatentKeys),
                               .dtype = type_of(mix_, MatrixRole::kLatent, nope),
                               .shape = {d_.n_heads, C, nope}},
                       .source = std::move(keys)});
    tensors.push_back({.out = {.name = prefix + std::string(kGgufLatentValues),
                               .dtype = type_of(mix_, MatrixRole::kLatent, C),
                               .shape = {d_.n_heads, v_dim, C}},
                       .source = std::move(values)});
  }

  const ModelDescription& d_;
  const TypeMix& mix_;
};

// --- safetensors -----------------------------------------------------------------------------------------------------

class SafetensorsPlan {
 public:
  SafetensorsPlan(const ModelDescription& d, DType matrices) : d_(d), matrices_(matrices) {}

  std::vector<ConvertTensor> tensors;

  template <class Owner>
  void add_rows(std::span<const TensorRow<Owner>> rows, const Owner& owner, const std::string& prefix,
                const LayerDescription& layer, int64_t expert = 0) {
    const bool is_transformers = is_published_as_transformers(d_);
    for (const TensorRow<Owner>& row : rows) {
      if (!is_present(row.presence, d_, layer)) continue;
      const std::string_view name = !is_transformers      ? row.official
                                    : row.variant.empty() ? row.transformers
                                                          : row.variant;
      ConvertTensor tensor =
          tensor_of(row, owner, prefix + with_expert(name, expert), TensorShape::of(row.dims, d_, layer).sizes);
      // Hyper-connections and the router stay exact, as in the other direction.
      const bool is_exact = row.kind == Kind::kF32Matrix || row.gguf == "ffn_gate_inp.weight";
      if (is_matrix(tensor)) tensor.out.dtype = is_exact ? DType::kF32 : matrices_;
      tensors.push_back(std::move(tensor));
    }
  }

  void add_layer(const LayerWeights& weights, const std::string& prefix, const LayerDescription& layer) {
    add_rows(layer_rows(), weights, prefix, layer);
    for (size_t e = 0; e < weights.experts.size(); ++e)
      add_rows(expert_rows(), weights.experts[e], prefix, layer, static_cast<int64_t>(e));
  }

  std::string prefix_of(size_t layer) const {
    return (is_published_as_transformers(d_) ? "model.layers." : "layers.") + std::to_string(layer) + ".";
  }

 private:
  const ModelDescription& d_;
  DType matrices_;
};

}  // namespace

std::vector<ConvertTensor> plan_gguf(const ModelDescription& d, const ModelWeights& weights, const TypeMix& mix) {
  GgufPlan plan(d, mix);
  plan.add_rows(model_rows(), weights, "", {});
  for (size_t l = 0; l < d.layers.size(); ++l) plan.add_layer(weights.layers[l], gguf_layer_prefix(l), d.layers[l]);
  for (size_t s = 0; d.residual == ResidualKind::kPlain && s < weights.mtp.size(); ++s) {
    const std::string prefix = gguf_layer_prefix(d.layers.size() + s);
    plan.add_layer(weights.mtp[s].block, prefix, d.mtp_layers[s]);
    plan.add_rows(mtp_rows(), weights.mtp[s], prefix, d.mtp_layers[s]);
  }
  return std::move(plan.tensors);
}

std::vector<ConvertTensor> plan_safetensors(const ModelDescription& d, const ModelWeights& weights, DType matrices) {
  SafetensorsPlan plan(d, matrices);
  plan.add_rows(model_rows(), weights, "", {});
  for (size_t l = 0; l < d.layers.size(); ++l) plan.add_layer(weights.layers[l], plan.prefix_of(l), d.layers[l]);
  for (size_t s = 0; s < weights.mtp.size(); ++s) {
    const std::string prefix = (is_published_as_transformers(d) ? "model." : "") + draft_prefix(d, s);
    plan.add_layer(weights.mtp[s].block, prefix, d.mtp_layers[s]);
    plan.add_rows(mtp_rows(), weights.mtp[s], prefix, d.mtp_layers[s]);
  }
  // The widest numbers first: then every tensor begins at a multiple of its number's size.
  std::sort(plan.tensors.begin(), plan.tensors.end(), [](const ConvertTensor& a, const ConvertTensor& b) {
    const int64_t a_bits = dtype_bits(a.out.dtype), b_bits = dtype_bits(b.out.dtype);
    return a_bits != b_bits ? a_bits > b_bits : a.out.name < b.out.name;
  });
  return std::move(plan.tensors);
}

}  // namespace hadal
