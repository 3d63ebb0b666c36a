// Engram in front of a layer: rows of a table that the last few tokens name, projected to a key per stream and a value,
// and let into the streams as far as each key fits.
//
//   e = the rows, one behind the other;  [key_0 .. key_{n-1} | value] = W e;  X[j] += gate(X[j], key_j) value
//
// Which rows follows from token ids alone (step_inputs.cpp). Source: Engram of the V4.1 release's inference/model.py.

#include "forward/forward_impl.h"
#include "ops/embed/embed.h"
#include "ops/engram_gate/engram_gate.h"

namespace hadal {

// Of the step's rows [begin, all.T()); streams are those of all rows.
void ForwardPass::Impl::engram(size_t layer, const EngramWeights& engram_weights, const Rows& all, int64_t begin,
                               float* streams) {
  const ModelDescription& d = description;
  const int64_t T = all.T() - begin;
  const int64_t rows_per_token = d.engram_rows_per_token();
  const int64_t width = rows_per_token * d.engram_head_dim;
  ops::embed(device, {.table = engram_weights.table,
                      .ids = all.engram_rows[inputs.engram_of(layer)] + begin * rows_per_token,
                      .x = workspace.engram_rows,
                      .T = T * rows_per_token,
                      .n = 1});
  Activations rows(device, workspace, workspace.engram_rows, T, width);
  apply(engram_weights.wkv, rows, workspace.engram_key_value, (d.hc_mult + 1) * d.hidden);
  ops::engram_gate(device, {.x = streams + begin * d.hc_mult * d.hidden,
                            .key_value = workspace.engram_key_value,
                            .q_weight = engram_weights.q_weight.data(),
                            .k_weight = engram_weights.k_weight.data(),
                            .T = T,
                            .n = d.hc_mult,
                            .C = d.hidden,
                            .eps = static_cast<float>(d.rms_norm_eps)});
}

}  // namespace hadal
