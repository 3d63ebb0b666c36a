#include "engine/goldens.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/format.h"
#include "base/json.h"

namespace hadal {

int64_t moe_layers_before(const ModelDescription& d, size_t n) {
  return std::count_if(d.layers.begin(), d.layers.begin() + static_cast<std::ptrdiff_t>(n),
                       [](const LayerDescription& l) { return l.ffn == FfnKind::kMoe; });
}

Result<Goldens> Goldens::parse(std::span<const std::byte> bytes, std::string_view name) {
  Goldens goldens;
  goldens.name_ = name;
  HADAL_ASSIGN(goldens.file_, parse_safetensors(bytes, name));
  constexpr std::string_view kIds = ".ids";
  for (StoredTensor& tensor : goldens.file_.tensors) {
    // Numbers of goldens have four bytes and are used where they are mapped, unless a tensor of bytes before them (the
    // candidates of V4.1) has moved them to an odd place.
    if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) % 4 != 0) {
      std::vector<uint32_t>& copy = goldens.copies_.emplace_back((tensor.bytes.size() + 3) / 4);
      if (!tensor.bytes.empty()) std::memcpy(copy.data(), tensor.bytes.data(), tensor.bytes.size());
      tensor.bytes = std::as_bytes(std::span(copy)).first(tensor.bytes.size());
    }
    goldens.tensors_[tensor.name] = &tensor;
    if (tensor.name.ends_with(kIds)) {
      goldens.sets_.emplace(tensor.name.substr(0, tensor.name.size() - kIds.size()));
    }
  }
  return goldens;
}

int64_t Goldens::dimension(std::string_view tensor, size_t axis) const {
  const auto found = tensors_.find(tensor);
  return found == tensors_.end() || axis >= found->second->shape.size() ? 0 : found->second->shape[axis];
}

Result<void> Goldens::check(const std::string& set, const ModelDescription& d) const {
  const auto L = static_cast<int64_t>(d.layers.size());
  const int64_t K = d.n_experts_per_token;
  const int64_t n_moe = moe_layers_before(d, d.layers.size());
  std::vector<int64_t> streams = {L, -1, d.hc_mult, d.hidden};
  if (d.residual == ResidualKind::kPlain) streams.erase(streams.begin() + 2);
  const int64_t T = dimension(set + ".ids", 0);
  const int64_t n_greedy = dimension(set + ".greedy", 0);
  HADAL_TRY(check_integers(set + ".ids", {T}, 0, d.vocab_size, Presence::kNeeded));
  if (T < 2) return wrong(set + ".ids", "at least 2 tokens", fmt::format("{}", T));
  if (T + n_greedy > d.context_tokens_max) {
    Error error = wrong(set + ".ids", fmt::format("at most {} tokens with the greedy ones", d.context_tokens_max),
                        fmt::format("{} and {}", T, n_greedy));
    error.code = ErrorCode::kLimit;
    return error;
  }
  HADAL_TRY(check_floats(set + ".nll", {T - 1}, Presence::kNeeded));
  HADAL_TRY(check_integers(set + ".greedy", {n_greedy}, 0, d.vocab_size, Presence::kOptional));
  HADAL_TRY(check_rows(set, ".logits_pos", T, {{".logits", {-1, d.vocab_size}, Presence::kNeeded}}));
  HADAL_TRY(check_rows(set, ".mtp_pos", T - 1, {{".mtp_logits", {-1, d.vocab_size}, Presence::kNeeded}}));
  HADAL_TRY(check_integers(set + ".experts", {n_moe, T, K}, 0, d.n_routed_experts, Presence::kOptional));
  const Presence weights = has(set + ".experts") ? Presence::kNeeded : Presence::kOptional;
  HADAL_TRY(check_rows(set, ".stream_pos", T,
                       {{".streams", streams, Presence::kNeeded}, {".expert_weights", {n_moe, -1, K}, weights}}));
  return check_index(set, T, d);
}

Error Goldens::wrong(const std::string& tensor, std::string want, std::string found) const {
  return Error{.code = ErrorCode::kCorrupt,
               .what = "a golden tensor does not fit the model",
               .in = fmt::format("{}: {}", name_, json::excerpt(tensor)),
               .want = std::move(want),
               .found = std::move(found),
               .hint = "the goldens belong to another model or are damaged"};
}

Result<void> Goldens::check_shape(const std::string& tensor, DType dtype, const std::vector<int64_t>& shape,
                                  Presence presence) const {
  const auto found = tensors_.find(tensor);
  const std::string want = fmt::format("{} {}", dtype_name(dtype), format_shape(shape));
  if (found == tensors_.end()) {
    return presence == Presence::kNeeded ? Result<void>(wrong(tensor, want, "no such tensor")) : Result<void>();
  }
  const StoredTensor& stored = *found->second;
  if (stored.dtype == dtype && stored.shape == shape) return {};
  return wrong(tensor, want, fmt::format("{} {}", dtype_name(stored.dtype), format_shape(stored.shape)));
}

Result<void> Goldens::check_floats(const std::string& tensor, const std::vector<int64_t>& shape,
                                   Presence presence) const {
  HADAL_TRY(check_shape(tensor, DType::kF32, shape, presence));
  const std::span<const float> floats = numbers<float>(tensor);
  for (size_t i = 0; i < floats.size(); ++i) {
    if (!std::isfinite(floats[i])) {
      return wrong(tensor, "finite numbers", fmt::format("{} at element {}", floats[i], i));
    }
  }
  return {};
}

Result<void> Goldens::check_integers(const std::string& tensor, const std::vector<int64_t>& shape, int64_t begin,
                                     int64_t end, Presence presence) const {
  HADAL_TRY(check_shape(tensor, DType::kI32, shape, presence));
  const std::span<const int32_t> integers = numbers<int32_t>(tensor);
  for (size_t i = 0; i < integers.size(); ++i) {
    if (integers[i] < begin || integers[i] >= end) {
      return wrong(tensor, fmt::format("{} to {}", begin, end - 1), fmt::format("{} at element {}", integers[i], i));
    }
  }
  return {};
}

Result<void> Goldens::check_rows(const std::string& set, const std::string& positions, int64_t T,
                                 const std::vector<Dependent>& dependents) const {
  const int64_t n = dimension(set + positions, 0);
  HADAL_TRY(check_integers(set + positions, {n}, 0, T, Presence::kOptional));
  const std::span<const int32_t> all = numbers<int32_t>(set + positions);
  const auto twice = std::adjacent_find(all.begin(), all.end(), std::greater_equal<>());
  if (twice != all.end()) {
    return wrong(set + positions, "ascending positions", fmt::format("{} behind {}", twice[1], twice[0]));
  }
  for (const Dependent& dependent : dependents) {
    std::vector<int64_t> shape = dependent.shape;
    std::replace(shape.begin(), shape.end(), int64_t{-1}, n);
    HADAL_TRY(check_floats(set + dependent.suffix, shape, n == 0 ? Presence::kOptional : dependent.presence));
  }
  return {};
}

Result<void> Goldens::check_index(const std::string& set, int64_t T, const ModelDescription& d) const {
  HADAL_TRY(check_rows(set, ".index_pos", T, {}));
  const int64_t n = dimension(set + ".index_pos", 0);
  for (size_t l = 0; l < d.layers.size(); ++l) {
    const std::string scores = fmt::format("{}.index_scores_last.L{}", set, l);
    HADAL_TRY(check_integers(fmt::format("{}.index.L{}", set, l), {n, d.index_topk}, -1, T, Presence::kOptional));
    HADAL_TRY(check_floats(scores, {dimension(scores, 0)}, Presence::kOptional));
  }
  return {};
}

}  // namespace hadal
