// The draft layer (MTP) over the rows whose next token is known.
//
//   e = rms_norm(embed[t[i + 1]], enorm);  h = rms_norm(X[i], hnorm) per stream, X the trunk's streams after its last
//   layer X' = e_proj e (on every stream) + h_proj h;  block with window attention at position i;  own collapse and
//   norm; the trunk's head: logits that predict t[i + 2]
//
// Source: MTPBlock of the release's inference/model.py, which leaves the pairing to its caller. A step of tokens
// [n, n + T) completes rows n - 1 ... n + T - 2; the streams of the last token wait in the state's tail.

#include <algorithm>
#include <cstring>

#include "forward/forward_impl.h"
#include "ops/embed/embed.h"

namespace hadal {

Result<void> ForwardPass::Impl::draft(const Rows& trunk, std::span<const SequenceStep> steps, StepObserver& observer) {
  const MtpWeights& mtp = weights.mtp.front();
  const int64_t C = description.hidden;
  const int64_t n = description.hc_mult;
  const int64_t stream_floats = n * C;
  const size_t layer = description.layers.size();

  // Rows of the draft layer: the waiting streams of each sequence, then its new ones but the last.
  Rows rows;
  float* h = workspace.draft_streams;
  for (const RowSpan& span : trunk.spans) {
    const bool has_waiting = span.position0 > 0;
    RowSpan draft_span = span;
    draft_span.row0 = rows.T();
    draft_span.position0 = has_waiting ? span.position0 - 1 : 0;
    draft_span.T = span.T - (has_waiting ? 0 : 1);
    float* waiting = span.state->tail_floats(span.state->layout().mtp_streams_offset);
    const float* fresh = workspace.streams + span.row0 * stream_floats;
    float* to = h + draft_span.row0 * stream_floats;
    if (has_waiting) {
      std::memcpy(to, waiting, static_cast<size_t>(stream_floats) * sizeof(float));
      to += stream_floats;
    }
    std::memcpy(to, fresh, static_cast<size_t>((span.T - 1) * stream_floats) * sizeof(float));
    std::memcpy(waiting, fresh + (span.T - 1) * stream_floats, static_cast<size_t>(stream_floats) * sizeof(float));
    for (int64_t i = 0; i < draft_span.T; ++i) {
      rows.ids.push_back(trunk.ids[static_cast<size_t>(span.row0 + i + (has_waiting ? 0 : 1))]);
      rows.positions.push_back(draft_span.position0 + i);
    }
    if (draft_span.T > 0) rows.spans.push_back(draft_span);
  }
  const int64_t T = rows.T();
  if (T == 0) return {};
  fill_cos_sin(rows);

  // The trunk's streams are no longer needed: their buffer takes the draft layer's.
  float* streams = workspace.streams;
  ops::embed(device, {.table = weights.embed, .ids = rows.ids.data(), .x = workspace.sublayer_in, .T = T, .n = 1});
  norm_rows(workspace.sublayer_in, mtp.enorm, workspace.normed, T, C);
  Activations embedded(device, workspace, workspace.normed, T, C);
  apply(mtp.e_proj, embedded, workspace.sublayer_out, C);
  norm_rows(h, mtp.hnorm, h, T * n, C);
  // Every stream is a row of its own; packing buffers hold T rows of n C.
  Activations hidden(device, workspace, h, T * n, C);
  apply(mtp.h_proj, hidden, streams, C);
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t j = 0; j < n; ++j) {
      float* stream = streams + (t * n + j) * C;
      for (int64_t c = 0; c < C; ++c) stream[c] += workspace.sublayer_out[t * C + c];
    }
  }
  HADAL_TRY(block(layer, description.mtp_layers.front(), mtp.block, rows, streams, observer));

  for (const RowSpan& span : rows.spans) {
    const std::span<const int64_t> wanted = steps[span.sequence].mtp_logits_at;
    for (size_t begin = 0; begin < wanted.size(); begin += kLogitsRows) {
      const size_t count = std::min<size_t>(kLogitsRows, wanted.size() - begin);
      std::vector<const float*> wanted_streams;
      for (size_t i = 0; i < count; ++i) {
        wanted_streams.push_back(streams + (span.row0 + wanted[begin + i] - span.position0) * stream_floats);
      }
      const float* logits_rows[kLogitsRows];
      head(mtp.head_hc, mtp.norm, wanted_streams, logits_rows, count);
      for (size_t i = 0; i < count; ++i) {
        observer.mtp_logits(span.sequence, wanted[begin + i],
                            {logits_rows[i], static_cast<size_t>(description.vocab_size)});
      }
    }
  }
  return {};
}

}  // namespace hadal
