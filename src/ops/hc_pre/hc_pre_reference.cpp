#include <algorithm>
#include <cmath>

#include "ops/hc_pre/hc_pre.h"

namespace hadal::ops {
namespace {

float sigmoid(float v) {
  return 1.0f / (1.0f + std::exp(-v));
}

// u[t] = sum_j pre[j] X[t, j]
void collapse(const HcPre& op, int64_t t, const float* pre) {
  const float* x = op.x + t * op.n * op.C;
  for (int64_t c = 0; c < op.C; ++c) {
    float sum = 0;
    for (int64_t j = 0; j < op.n; ++j) sum += pre[j] * x[j * op.C + c];
    op.u[t * op.C + c] = sum;
  }
}

}  // namespace

void sinkhorn(float* a, int64_t n, int64_t iters, float eps) {
  const auto normalize_columns = [&] {
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += a[i * n + j];
      for (int64_t i = 0; i < n; ++i) a[i * n + j] /= sum + eps;
    }
  };
  for (int64_t i = 0; i < n; ++i) {
    float* row = a + i * n;
    const float max = *std::max_element(row, row + n);
    float sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += row[j] = std::exp(row[j] - max);
    for (int64_t j = 0; j < n; ++j) row[j] = row[j] / sum + eps;
  }
  normalize_columns();
  for (int64_t iteration = 1; iteration < iters; ++iteration) {
    for (int64_t i = 0; i < n; ++i) {
      float* row = a + i * n;
      float sum = 0;
      for (int64_t j = 0; j < n; ++j) sum += row[j];
      for (int64_t j = 0; j < n; ++j) row[j] /= sum + eps;
    }
    normalize_columns();
  }
}

void hc_pre_reference(CpuDevice&, const HcPre& op) {
  const int64_t n = op.n;
  const bool is_head = op.comb == nullptr;
  for (int64_t t = 0; t < op.T; ++t) {
    const float* x = op.x + t * n * op.C;
    float read_with[8];
    if (op.pre_in != nullptr) std::copy_n(op.pre_in + t * n, n, read_with);
    if (op.projected == nullptr) {
      collapse(op, t, read_with);
      continue;
    }
    const float* projected = op.projected + t * (is_head ? n : (2 + n) * n);
    double square = 0;
    for (int64_t i = 0; i < n * op.C; ++i) square += static_cast<double>(x[i]) * x[i];
    const auto q =
        static_cast<float>(1.0 / std::sqrt(square / static_cast<double>(n * op.C) + static_cast<double>(op.norm_eps)));
    float pre[8];
    for (int64_t j = 0; j < n; ++j) pre[j] = sigmoid(projected[j] * q * op.scale[0] + op.base[j]) + op.hc_eps;
    if (!is_head) {
      float* comb = op.comb + t * n * n;
      for (int64_t j = 0; j < n; ++j) {
        op.post[t * n + j] = 2.0f * sigmoid(projected[n + j] * q * op.scale[1] + op.base[n + j]);
      }
      for (int64_t i = 0; i < n * n; ++i) comb[i] = projected[2 * n + i] * q * op.scale[2] + op.base[2 * n + i];
      sinkhorn(comb, n, op.sinkhorn_iters, op.hc_eps);
    }
    if (op.pre_in == nullptr) std::copy_n(pre, n, read_with);
    if (op.pre_out != nullptr) std::copy_n(pre, n, op.pre_out + t * n);
    collapse(op, t, read_with);
  }
}

}  // namespace hadal::ops
