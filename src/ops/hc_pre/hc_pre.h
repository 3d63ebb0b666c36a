// Manifold-constrained hyper-connections (mHC), first half: from the streams of a token to the input of a sublayer.
//
//   v = flatten(X) [n C];  q = 1 / sqrt(mean(v^2) + norm_eps);  m = (fn v) q           the product fn v comes in
//   pre[j]     = sigmoid(m[j] scale[0] + base[j]) + hc_eps
//   post[j]    = 2 sigmoid(m[n + j] scale[1] + base[n + j])
//   comb       = sinkhorn(m[2n + n i + j] scale[2] + base[2n + n i + j])               [i][j], i source, j destination
//   u[c]       = sum_j pre[j] X[j, c]
//
//   sinkhorn(A): row softmax, + eps, column normalisation, then iters - 1 times rows, columns; eps is added to every
//   divisor. The last step is a column normalisation; iters is part of the model, never "until converged".
//
// With pre_in the streams are read with that instead, and pre_out takes the new one: the mixes of V4.1 lag by a
// sublayer. Without a product fn v the streams are read with pre_in and nothing else happens.
//
// The head's collapse is the same with only the n `pre` values (post and comb null).
// Sources: mHC, arXiv 2512.24880; hc_pre and hc_head of the release's inference/model.py and kernel.py, which win where
// they differ (order of normalisations, eps on pre).
#pragma once

#include "device/device.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/versions.h"

namespace hadal::ops {

struct HcPre {
  const float* x = nullptr;          // [T, n, C] streams
  const float* projected = nullptr;  // [T, (2 + n) n], or [T, n] for a head: fn v, before the scalar q; or null
  const float* scale = nullptr;      // [3] or [1]
  const float* base = nullptr;       // [(2 + n) n] or [n]
  float* u = nullptr;                // [T, C]
  const float* pre_in = nullptr;     // [T, n]; null: this sublayer's own
  float* pre_out = nullptr;          // [T, n], may be pre_in; null: nobody wants it
  float* post = nullptr;             // [T, n]; null for a head
  float* comb = nullptr;             // [T, n, n]; null for a head
  int64_t T = 0;
  int64_t n = 0;               // streams, 1 to 8
  int64_t C = 0;               // a multiple of 8
  int64_t sinkhorn_iters = 0;  // at least 1
  float norm_eps = 0;
  float hc_eps = 0;
  // What every sublayer does with u first, in the same pass where a device can; x null: nobody wants it, else u.
  RmsNorm norm = {};
};

// Order: mean square by 64 partial sums as in rms_norm; the rest per token in index order.
// Accuracy: pre, post and comb within 5e-6 of the reference for logits of up to 20, whose last bit is 2e-6 of exp; u
// within that of sum_j |pre[j] X[j, c]|. NaN stays in its token. Cost: reads 4 T n C bytes twice (once from cache),
// writes 4 T C.
void hc_pre(Device& device, const HcPre& op);

void hc_pre_reference(CpuDevice& cpu, const HcPre& op);
void hc_pre_avx2(CpuDevice& cpu, const HcPre& op);
void hc_pre_avx512(CpuDevice& cpu, const HcPre& op);
std::span<const Version<HcPre>> hc_pre_versions();

// A [n, n] row-major, in place.
void sinkhorn(float* a, int64_t n, int64_t iters, float eps);

}  // namespace hadal::ops
