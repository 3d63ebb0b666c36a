// The residual in and out of a sublayer: mHC mixes streams (docs/ARCHITECTURE.md, "The forward pass"), a plain residual
// is the case of one stream that every sublayer reads as it is and adds to with weight 1. Where the mixes lag, each
// token's waits in workspace.hc_mix from sublayer to sublayer.
#include "forward/forward_impl.h"
#include "ops/hc_post/hc_post.h"
#include "ops/hc_pre/hc_pre.h"

namespace hadal {

Activations ForwardPass::Impl::enter_sublayer(const MhcWeights& hc, Vector gain, ops::ActivationRounding rounding,
                                              const float* streams, const Rows& rows) {
  const int64_t T = rows.T();
  const int64_t C = description.hidden;
  const bool is_lagging = description.residual == ResidualKind::kLaggedHyperConnections;
  if (description.residual == ResidualKind::kPlain) return normed(streams, gain, workspace.normed, T, C, rounding);
  const int64_t n = description.hc_mult;
  float* mix = is_lagging ? workspace.hc_mix + rows.begin * n : nullptr;
  // float on purpose in every mode: the release computes the mixes in true float.
  Activations x(device, workspace, streams, T, n * description.hidden);
  ops::linear(device, {.x = x.rounded(ops::ActivationRounding::kNone),
                       .w = hc.fn,
                       .y = workspace.hc_projected,
                       .y_stride = (2 + n) * n});
  Activations out(device, workspace, workspace.normed, T, C);
  ops::hc_pre(device,
              {.x = streams,
               .projected = workspace.hc_projected,
               .scale = hc.scale.data(),
               .base = hc.base.data(),
               .u = workspace.sublayer_in,
               .pre_in = is_lagging ? mix : nullptr,
               .pre_out = is_lagging ? mix : nullptr,
               .post = workspace.hc_post,
               .comb = workspace.hc_comb,
               .T = T,
               .n = n,
               .C = description.hidden,
               .sinkhorn_iters = description.hc_sinkhorn_iters,
               .norm_eps = static_cast<float>(description.rms_norm_eps),
               .hc_eps = static_cast<float>(description.hc_eps),
               .norm = norm_of(workspace.sublayer_in, gain, workspace.normed, T, C, out.packed_beside(rounding))});
  return out;
}

void ForwardPass::Impl::leave_sublayer(float* streams, const Rows& rows) {
  const bool is_plain = description.residual == ResidualKind::kPlain;
  ops::hc_post(device, {.x = streams,
                        .u = workspace.sublayer_out,
                        .post = is_plain ? rows.ones : workspace.hc_post,
                        .comb = is_plain ? rows.ones : workspace.hc_comb,
                        .T = rows.T(),
                        .n = description.hc_mult,
                        .C = description.hidden});
}

Activations ForwardPass::Impl::collapse_head(const MhcWeights& hc, Vector gain, const float* streams, const float* mix,
                                             int64_t T, float* collapsed) {
  const int64_t n = description.hc_mult;
  const int64_t C = description.hidden;
  Activations out(device, workspace, workspace.head_normed, T, C);
  const ops::RmsNorm norm =
      norm_of(collapsed, gain, workspace.head_normed, T, C, out.packed_beside(rounding_for(weights.head)));
  if (description.residual == ResidualKind::kLaggedHyperConnections) {
    ops::hc_pre(device, {.x = streams,
                         .u = collapsed,
                         .pre_in = mix,
                         .T = T,
                         .n = n,
                         .C = description.hidden,
                         .sinkhorn_iters = 1,
                         .norm_eps = static_cast<float>(description.rms_norm_eps),
                         .norm = norm});
    return out;
  }
  if (description.residual == ResidualKind::kPlain) {
    device.copy(collapsed, streams, T * C * static_cast<int64_t>(sizeof(float)));
    ops::rms_norm(device, norm);
    return out;
  }
  Activations x(device, workspace, streams, T, n * description.hidden);
  ops::linear(device,
              {.x = x.rounded(ops::ActivationRounding::kNone), .w = hc.fn, .y = workspace.hc_projected, .y_stride = n});
  ops::hc_pre(device, {.x = streams,
                       .projected = workspace.hc_projected,
                       .scale = hc.scale.data(),
                       .base = hc.base.data(),
                       .u = collapsed,
                       .post = nullptr,
                       .comb = nullptr,
                       .T = T,
                       .n = n,
                       .C = description.hidden,
                       .sinkhorn_iters = 1,
                       .norm_eps = static_cast<float>(description.rms_norm_eps),
                       .hc_eps = static_cast<float>(description.hc_eps),
                       .norm = norm});
  return out;
}

}  // namespace hadal
