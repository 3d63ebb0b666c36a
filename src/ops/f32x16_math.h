// Functions of F32x16 that take more than one instruction, the same for both instruction sets.
#pragma once

#include "ops/f32x16.h"

namespace hadal::ops {
namespace {

// 1 / (1 + exp(-v)) without overflow: with e = exp(-|v|) it is 1 / (1 + e), or e / (1 + e) for v < 0.
// Within 3 ulp (2.4 measured) for v >= -87.3, 0 below.
inline F32x16 sigmoid(F32x16 v) {
  const F32x16 one = broadcast(1);
  const F32x16 e = exp_nonpositive(minus_abs(v));
  return where_negative(v, e, one) / (one + e);
}

// log(1 + t) for t in [0, 1]: 2 atanh(s) with s = t / (2 + t), s in [0, 1/3]. The polynomial is (atanh(s) / s - 1) /
// s^2 in s^2, minimax: 0.08 x 2^-24 of the result. Within 3 ulp (2.0 measured) down to the smallest normal t; 0 at 0.
inline F32x16 log1p_unit(F32x16 t) {
  const F32x16 s = t / (broadcast(2) + t);
  const F32x16 z = s * s;
  F32x16 p = broadcast(1.40064188696e-1f);
  p = fma(p, z, broadcast(1.40008144348e-1f));
  p = fma(p, z, broadcast(2.00107690657e-1f));
  p = fma(p, z, broadcast(3.33332080496e-1f));
  const F32x16 twice = s + s;
  return fma(twice * z, p, twice);
}

// log(1 + exp(v)) = max(v, 0) + log(1 + exp(-|v|)). For v > 20 the second term is below half an ulp of v, so the
// result is v itself, as the release's threshold has it. Within 4 ulp (2.8 measured) for v >= -87, 0 below -87.3.
inline F32x16 softplus(F32x16 v) {
  return max(broadcast(0), v) + log1p_unit(exp_nonpositive(minus_abs(v)));
}

}  // namespace
}  // namespace hadal::ops
