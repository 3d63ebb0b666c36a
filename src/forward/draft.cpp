// The draft layer (MTP) over the rows whose next token is known.
//
//   e = rms_norm(embed[t[i + 1]], enorm);  h = rms_norm(X[i], hnorm) per stream, X the trunk's streams after its last
//   layer X' = e_proj e (on every stream) + h_proj h;  block with window attention at position i;  own collapse and
//   norm; the trunk's head: logits that predict t[i + 2]
//
// Source: MTPBlock of the release's inference/model.py, which leaves the pairing to its caller. A step of tokens
// [n, n + T) completes rows n - 1 ... n + T - 2; the streams of the last token wait in the state's tail.

#include "forward/forward_impl.h"
#include "ops/embed/embed.h"
#include "ops/stream_add/stream_add.h"

namespace hadal {

// Of each sequence the row that waited for its next token, then the new ones but the last. Spans without rows are left
// out.
Rows draft_rows(const Rows& trunk) {
  Rows rows;
  for (const RowSpan& span : trunk.spans) {
    const bool has_waiting = span.position0 > 0;
    RowSpan draft_span{.state = span.state, .sequence = span.sequence};
    draft_span.row0 = rows.T();
    draft_span.position0 = has_waiting ? span.position0 - 1 : 0;
    draft_span.T = span.T - (has_waiting ? 0 : 1);
    for (int64_t i = 0; i < draft_span.T; ++i) {
      rows.ids.push_back(trunk.ids[static_cast<size_t>(span.row0 + i + (has_waiting ? 0 : 1))]);
      rows.positions.push_back(draft_span.position0 + i);
    }
    if (draft_span.T > 0) rows.spans.push_back(draft_span);
  }
  return rows;
}

// The trunk's streams of the draft layer's rows, one sequence after the other, into workspace.draft_streams; those of
// each sequence's last token wait in its tail.
void ForwardPass::Impl::gather_draft_streams(const Rows& trunk) {
  const int64_t stream_floats = description.hc_mult * description.hidden;
  const int64_t stream_bytes = stream_floats * static_cast<int64_t>(sizeof(float));
  float* to = workspace.draft_streams;
  for (const RowSpan& span : trunk.spans) {
    float* waiting = span.state->tail_floats(span.state->layout().mtp_streams_offset);
    const float* fresh = workspace.streams + span.row0 * stream_floats;
    if (span.position0 > 0) {
      device.copy(to, waiting, stream_bytes);
      to += stream_floats;
    }
    device.copy(to, fresh, (span.T - 1) * stream_bytes);
    device.copy(waiting, fresh + (span.T - 1) * stream_floats, stream_bytes);
    to += (span.T - 1) * stream_floats;
  }
}

Result<void> ForwardPass::Impl::draft(const StepRows& step, std::span<const SequenceStep> steps,
                                      StepObserver& observer) {
  const MtpWeights& mtp = weights.mtp.front();
  const int64_t C = description.hidden;
  const int64_t n = description.hc_mult;
  const size_t layer = description.layers.size();
  const Rows& rows = step.draft;
  gather_draft_streams(step.all());
  const int64_t T = rows.T();
  if (T == 0) return {};

  // The trunk's streams are no longer needed: their buffer takes the draft layer's.
  float* streams = workspace.streams;
  float* h = workspace.draft_streams;
  ops::embed(device, {.table = weights.embed, .ids = rows.ids_there, .x = workspace.sublayer_in, .T = T, .n = 1});
  norm_rows(workspace.sublayer_in, mtp.enorm, workspace.normed, T, C);
  Activations embedded(device, workspace, workspace.normed, T, C);
  apply(mtp.e_proj, embedded, workspace.sublayer_out, C);
  norm_rows(h, mtp.hnorm, h, T * n, C);
  // Every stream is a row of its own; packing buffers hold T rows of n C.
  Activations hidden(device, workspace, h, T * n, C);
  apply(mtp.h_proj, hidden, streams, C);
  ops::stream_add(device, {.x = streams, .u = workspace.sublayer_out, .T = T, .n = n, .C = C});
  HADAL_TRY(block(layer, description.mtp_layers.front(), mtp.block, rows, streams, observer));

  std::vector<WantedLogits> wanted;
  for (const RowSpan& span : rows.spans) {
    for (const int64_t position : steps[span.sequence].mtp_logits_at) {
      wanted.push_back({span.sequence, position, streams + (span.row0 + position - span.position0) * n * C, nullptr});
    }
  }
  return logits_of(step, mtp.head_hc, mtp.norm, wanted, [&](const WantedLogits& row, std::span<const float> logits) {
    observer.mtp_logits(row.sequence, row.position, logits);
  });
}

}  // namespace hadal
