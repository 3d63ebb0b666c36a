// From streams to logits: collapse, norm, output matrix; a tile of rows at a time.

#include <algorithm>

#include "forward/forward_impl.h"

namespace hadal {

// Logits of n <= kLogitsRows rows into workspace.logits.
void ForwardPass::Impl::head(const MhcWeights& hc, Vector norm, std::span<const WantedLogits> wanted) {
  const int64_t C = description.hidden;
  const int64_t stream_floats = description.hc_mult * C;
  const auto n = static_cast<int64_t>(wanted.size());
  for (int64_t i = 0; i < n; ++i) {
    device.copy(workspace.head_in + i * stream_floats, wanted[static_cast<size_t>(i)].streams,
                stream_floats * static_cast<int64_t>(sizeof(float)));
    const float* mix = wanted[static_cast<size_t>(i)].mix;
    if (mix == nullptr) continue;
    device.copy(workspace.head_mix + i * description.hc_mult, mix,
                description.hc_mult * static_cast<int64_t>(sizeof(float)));
  }
  float* collapsed = workspace.head_in + kLogitsRows * stream_floats;
  collapse_head(hc, workspace.head_in, workspace.head_mix, n, collapsed);
  norm_rows(collapsed, norm, workspace.head_normed, n, C);
  Activations x(device, workspace, workspace.head_normed, n, C);
  apply(weights.head, x, workspace.logits, description.vocab_size);
}

Result<void> ForwardPass::Impl::logits_of(const StepRows& step, const MhcWeights& hc, Vector norm,
                                          std::span<const WantedLogits> wanted, const EmitLogits& emit) {
  const int64_t V = description.vocab_size;
  do {
    const auto tile = wanted.first(std::min<size_t>(kLogitsRows, wanted.size()));
    wanted = wanted.subspan(tile.size());
    if (!tile.empty()) head(hc, norm, tile);
    results.download(kLogitsOffset + static_cast<int64_t>(tile.size()) * V * static_cast<int64_t>(sizeof(float)));
    HADAL_TRY(device.synchronize());
    HADAL_TRY(check_finite(step));
    const auto* logits = reinterpret_cast<const float*>(results.on_host() + kLogitsOffset);
    for (size_t i = 0; i < tile.size(); ++i) {
      emit(tile[i], {logits + static_cast<int64_t>(i) * V, static_cast<size_t>(V)});
    }
  } while (!wanted.empty());
  return {};
}

}  // namespace hadal
