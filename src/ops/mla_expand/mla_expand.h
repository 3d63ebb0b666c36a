// Outputs of multi-head latent attention in absorbed form: each head's weighted sum of latents becomes its value.
//
//   y[t, h, v] = sum_c r(z[t, h, c]) W_UV[h, v, c]        v < value_dim, c < latent_dim; r the rounding of the packing
//
// sum_s p_s (W_UV c_s) = W_UV (sum_s p_s c_s): a value is never made. W_UV[h] are the last value_dim rows of head h in
// wkv_b, behind the nope_dim rows of W_UK[h] (ops/mla_absorb).
//
// Source: DeepSeek-V2 technical report, section 2.1.2; attn_impl "absorb" of V3's inference/model.py.
#pragma once

#include "device/device.h"
#include "ops/linear/linear.h"
#include "ops/versions.h"

namespace hadal::ops {

struct MlaExpand {
  PackedRows z;        // [T, H, latent_dim]: a group per head
  Weight wkv_b;        // [H (nope_dim + value_dim), latent_dim]
  float* y = nullptr;  // [T, H, value_dim]
  int64_t H = 0;
  int64_t nope_dim = 0;
  int64_t value_dim = 0;
};

// Order, accuracy: those of linear. Cost: reads the W_UV half of wkv_b once per call; 2 T H value_dim latent_dim
// operations.
void mla_expand(Device& device, const MlaExpand& op);

void mla_expand_reference(CpuDevice& cpu, const MlaExpand& op);
std::span<const Version<MlaExpand>> mla_expand_versions();

}  // namespace hadal::ops
