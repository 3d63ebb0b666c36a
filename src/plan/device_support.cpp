#include "plan/device_support.h"

#include <fmt/format.h>

#include <optional>

#include "model/description_fields.h"
#include "plan/step_cost.h"

namespace hadal {
namespace {

Error unsupported(std::string what) {
  return Error{.code = ErrorCode::kUnsupported,
               .what = "the model cannot run on a GPU yet",
               .in = std::move(what),
               .want = "",
               .found = "",
               .hint = "run it on the CPU: --device cpu"};
}

// Whether a mode rounds the activations in front of a matrix; those of experts that run together must be one.
bool is_rounded(const Weight& w, NumericMode mode) {
  switch (mode) {
    case NumericMode::kExact:
      return false;
    case NumericMode::kPublished:
      return w.dtype == DType::kF8E4M3 || w.dtype == DType::kF4E2M1;
    case NumericMode::kFast:
      return w.dtype != DType::kF32;
  }
  return false;
}

}  // namespace

Result<void> check_device_support(Device::Kind device, const ModelDescription& d, const ModelWeights& weights,
                                  NumericMode mode) {
  if (device == Device::Kind::kCpu) return {};
  if (d.has_mla()) return unsupported("multi-head latent attention");
  if (d.residual == ResidualKind::kLaggedHyperConnections) {
    return unsupported("hyper-connections whose mixes lag by a sublayer");
  }
  if (has_part(d, ModelPart::kEngram)) return unsupported("Engram");
  if (d.activation_block != 128) return unsupported("activations rounded by 32 channels");
  if (d.residual == ResidualKind::kPlain) return unsupported("a residual without hyper-connections");
  if (d.n_expert_groups > 1) return unsupported("experts chosen within groups");
  if (mode == NumericMode::kPublished && d.activation_scale == ActivationScale::kFloat) {
    return unsupported("activations rounded with float scales");
  }
  // Kernels read four numbers of a row at a time, and none of GGUF's blocks.
  int64_t odd_cols = 0;
  std::optional<DType> block_type;
  for_each_matrix(weights, true, [&](MatrixUse, const Weight& w) {
    if (w.cols % 4 != 0) odd_cols = w.cols;
    if (is_block_type(w.dtype)) block_type = w.dtype;
  });
  if (block_type) return unsupported(fmt::format("weights of the GGUF type {}", dtype_name(*block_type)));
  for (const LayerWeights& layer : weights.layers) {
    if (layer.shared.w1.empty() || layer.experts.empty()) continue;
    if (is_rounded(layer.shared.w1, mode) != is_rounded(layer.experts.front().w1, mode)) {
      return unsupported("routed and shared experts stored in types that ask for different activations");
    }
  }
  if (odd_cols > 0) return unsupported(fmt::format("a matrix with {} columns, no multiple of 4", odd_cols));
  return {};
}

}  // namespace hadal
