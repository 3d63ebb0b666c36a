// Queries of multi-head latent attention in absorbed form: they meet latents as they are cached, not keys made of them.
//
//   y[t, h, c]      = sum_d q[t, h, d] W_UK[h, d, c]      d < nope_dim, c < latent_dim
//   y[t, h, latent_dim + r] = q[t, h, nope_dim + r]       r < rope_dim: the rotated channels as they are
//
// q . (W_UK c_s) = (W_UK^T q) . c_s: a key is never made. W_UK[h] are the first nope_dim rows of head h in wkv_b, whose
// other value_dim rows are W_UV[h] (ops/mla_expand).
//
// Source: DeepSeek-V2 technical report, section 2.1.2; attn_impl "absorb" of V3's inference/model.py.
#pragma once

#include "device/device.h"
#include "device/tensor.h"
#include "ops/versions.h"

namespace hadal::ops {

struct MlaAbsorb {
  const float* q = nullptr;  // [T, H, nope_dim + rope_dim], rotated
  Weight wkv_b;              // [H (nope_dim + value_dim), latent_dim]
  float* y = nullptr;        // [T, H, latent_dim + rope_dim]
  int64_t T = 0;
  int64_t H = 0;
  int64_t nope_dim = 0;
  int64_t rope_dim = 0;
  int64_t value_dim = 0;
  int64_t latent_dim = 0;  // a multiple of 16
};

// Order: one chain of fused multiply-adds over d ascending, on weights widened to floats (a code times its scale,
// rounded once where the scale is no power of two). Independent of T, H and threads, and the same in AVX2 and AVX-512.
// Accuracy: within nope_dim * 2^-23 * sum |q w| of the reference, which sums in double.
// Cost: reads the W_UK half of wkv_b once per call; 2 T H nope_dim latent_dim operations.
void mla_absorb(Device& device, const MlaAbsorb& op);

void mla_absorb_reference(CpuDevice& cpu, const MlaAbsorb& op);
void mla_absorb_avx2(CpuDevice& cpu, const MlaAbsorb& op);
void mla_absorb_avx512(CpuDevice& cpu, const MlaAbsorb& op);
std::span<const Version<MlaAbsorb>> mla_absorb_versions();

}  // namespace hadal::ops
