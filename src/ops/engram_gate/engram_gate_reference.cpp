#include <algorithm>
#include <cmath>

#include "ops/engram_gate/engram_gate.h"

namespace hadal::ops {
namespace {

double inverse_rms(const float* v, int64_t C, double eps) {
  double square = 0;
  for (int64_t c = 0; c < C; ++c) square += static_cast<double>(v[c]) * static_cast<double>(v[c]);
  return 1.0 / std::sqrt(square / static_cast<double>(C) + eps);
}

}  // namespace

void engram_gate_reference(CpuDevice&, const EngramGate& op) {
  const auto eps = static_cast<double>(op.eps);
  for (int64_t t = 0; t < op.T; ++t) {
    const float* value = op.key_value + (t * (op.n + 1) + op.n) * op.C;
    for (int64_t j = 0; j < op.n; ++j) {
      float* x = op.x + (t * op.n + j) * op.C;
      const float* key = op.key_value + (t * (op.n + 1) + j) * op.C;
      double dot = 0;
      for (int64_t c = 0; c < op.C; ++c) {
        dot += static_cast<double>(x[c]) * static_cast<double>(op.q_weight[j * op.C + c]) *
               static_cast<double>(op.k_weight[j * op.C + c]) * static_cast<double>(key[c]);
      }
      dot *= inverse_rms(x, op.C, eps) * inverse_rms(key, op.C, eps) / std::sqrt(static_cast<double>(op.C));
      const double s = std::copysign(std::sqrt(std::max(std::abs(dot), 1e-6)), dot);
      const auto gate = static_cast<float>(1.0 / (1.0 + std::exp(-s)));
      for (int64_t c = 0; c < op.C; ++c) x[c] += gate * value[c];
    }
  }
}

}  // namespace hadal::ops
