// From streams to logits: collapse, norm, output matrix; a tile of rows at a time.

#include <algorithm>
#include <cstring>

#include "forward/forward_impl.h"

namespace hadal {

// Logits of n <= kLogitsRows rows; streams[i] is [n_streams, C], logits_rows[i] is set to [V] in the workspace.
void ForwardPass::Impl::head(const MhcWeights& hc, Vector norm, const std::vector<const float*>& streams,
                             const float** logits_rows, size_t n) {
  const int64_t C = description.hidden;
  const int64_t stream_floats = description.hc_mult * C;
  const auto rows = static_cast<int64_t>(n);
  for (size_t i = 0; i < n; ++i) {
    std::memcpy(workspace.head_in + static_cast<int64_t>(i) * stream_floats, streams[i],
                static_cast<size_t>(stream_floats) * sizeof(float));
  }
  float* collapsed = workspace.head_in + kLogitsRows * stream_floats;
  collapse_head(hc, workspace.head_in, rows, collapsed);
  norm_rows(collapsed, norm, workspace.head_normed, rows, C);
  Activations x(device, workspace, workspace.head_normed, rows, C);
  apply(weights.head, x, workspace.logits, description.vocab_size);
  for (size_t i = 0; i < n; ++i) logits_rows[i] = workspace.logits + static_cast<int64_t>(i) * description.vocab_size;
}

void ForwardPass::Impl::logits_of(const Rows& rows, std::span<const SequenceStep> steps, StepObserver& observer) {
  struct Wanted {
    size_t sequence;
    int64_t position;
    const float* streams;
  };
  std::vector<Wanted> wanted;
  const int64_t stream_floats = description.hc_mult * description.hidden;
  for (const RowSpan& span : rows.spans) {
    for (const int64_t position : steps[span.sequence].logits_at) {
      wanted.push_back(
          {span.sequence, position, workspace.streams + (span.row0 + position - span.position0) * stream_floats});
    }
  }
  for (size_t begin = 0; begin < wanted.size(); begin += kLogitsRows) {
    const size_t n = std::min<size_t>(kLogitsRows, wanted.size() - begin);
    std::vector<const float*> streams;
    for (size_t i = 0; i < n; ++i) streams.push_back(wanted[begin + i].streams);
    const float* logits_rows[kLogitsRows];
    head(weights.head_hc, weights.norm, streams, logits_rows, n);
    for (size_t i = 0; i < n; ++i) {
      observer.logits(wanted[begin + i].sequence, wanted[begin + i].position,
                      {logits_rows[i], static_cast<size_t>(description.vocab_size)});
    }
  }
}

}  // namespace hadal
