#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/moe/moe.h"

namespace hadal::ops {

float swiglu(float gate, float up, float limit) {
  if (limit > 0) {
    up = std::clamp(up, -limit, limit);
    gate = std::min(gate, limit);
  }
  return gate / (1.0f + std::exp(-gate)) * up;
}

namespace {

// y[C] += w2 r(weight * swiglu(w1 x, w3 x)) for one token.
void add_expert(CpuDevice& cpu, const Moe& op, int64_t t, const ExpertWeights& expert, float weight,
                const PackedRows& rows, ActivationRounding hidden_rounding) {
  const auto I = static_cast<size_t>(op.I);
  const auto C = static_cast<size_t>(op.C);
  PackedRows x = rows;
  x.T = 1;
  x.data = rows.row(t, 0);
  std::vector<float> gate(I);
  std::vector<float> up(I);
  linear_reference(cpu, {.x = x, .w = expert.w1, .y = gate.data(), .y_stride = op.I});
  linear_reference(cpu, {.x = x, .w = expert.w3, .y = up.data(), .y_stride = op.I});
  for (size_t i = 0; i < I; ++i) gate[i] = weight * swiglu(gate[i], up[i], op.swiglu_limit);

  const RowFormat format = row_format(hidden_rounding);
  std::vector<std::byte> packed(static_cast<size_t>(packed_rows_bytes(1, 1, op.I, format)));
  const PackedRows h{.format = format, .T = 1, .groups = 1, .K = op.I, .data = packed.data()};
  pack_rows_reference(cpu, {.x = gate.data(), .x_stride = op.I, .rounding = hidden_rounding, .out = h});
  std::vector<float> term(C);
  linear_reference(cpu, {.x = h, .w = expert.w2, .y = term.data(), .y_stride = op.C});
  for (size_t c = 0; c < C; ++c) op.y[t * op.C + static_cast<int64_t>(c)] += term[c];
}

}  // namespace

void moe_reference(CpuDevice& cpu, const Moe& op) {
  for (int64_t t = 0; t < op.T; ++t) {
    std::fill_n(op.y + t * op.C, op.C, 0.0f);
    for (int64_t i = 0; i < op.K; ++i) {
      const auto e = static_cast<size_t>(op.experts[t * op.K + i]);
      add_expert(cpu, op, t, op.routed[e], op.weights[t * op.K + i], op.x, op.hidden_rounding);
    }
    if (op.shared != nullptr) add_expert(cpu, op, t, *op.shared, 1.0f, op.shared_x, op.shared_hidden_rounding);
  }
}

}  // namespace hadal::ops
