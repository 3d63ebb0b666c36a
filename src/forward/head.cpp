// From streams to logits: collapse, norm, output matrix; a tile of rows at a time.

#include <algorithm>

#include "forward/forward_impl.h"

namespace hadal {
namespace {

bool follow_each_other(std::span<const WantedLogits> wanted, int64_t stream_floats) {
  for (size_t i = 1; i < wanted.size(); ++i) {
    if (wanted[i].streams != wanted[i - 1].streams + stream_floats) return false;
  }
  return true;
}

}  // namespace

// Logits of n <= logits_rows rows into workspace.logits.
void ForwardPass::Impl::head(const MhcWeights& hc, Vector norm, std::span<const WantedLogits> wanted) {
  const int64_t C = description.hidden;
  const int64_t stream_floats = description.hc_mult * C;
  const auto n = static_cast<int64_t>(wanted.size());
  const float* streams = wanted.front().streams;
  const float* mix = wanted.front().mix;
  // Rows that follow each other, as a step of one token for each sequence has them, are read where they lie.
  if (!follow_each_other(wanted, stream_floats)) {
    for (int64_t i = 0; i < n; ++i) {
      const WantedLogits& row = wanted[static_cast<size_t>(i)];
      device.copy(workspace.head_in + i * stream_floats, row.streams,
                  stream_floats * static_cast<int64_t>(sizeof(float)));
      if (row.mix == nullptr) continue;
      device.copy(workspace.head_mix + i * description.hc_mult, row.mix,
                  description.hc_mult * static_cast<int64_t>(sizeof(float)));
    }
    streams = workspace.head_in;
    mix = workspace.head_mix;
  }
  float* collapsed = workspace.head_in + logits_rows(device.shape()) * stream_floats;
  Activations x = collapse_head(hc, norm, streams, mix, n, collapsed);
  apply(weights.head, x, workspace.logits, description.vocab_size);
}

Result<void> ForwardPass::Impl::logits_of(const StepRows& step, const MhcWeights& hc, Vector norm,
                                          std::span<const WantedLogits> wanted, const EmitLogits& emit) {
  const int64_t V = description.vocab_size;
  const auto n_max = static_cast<size_t>(logits_rows(device.shape()));
  do {
    const auto tile = wanted.first(std::min(n_max, wanted.size()));
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
