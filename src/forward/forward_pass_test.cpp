#include "forward/forward_pass.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

TEST(ForwardPass, a_draft_layer_of_latent_attention_is_refused_by_name) {
  ModelDescription d;
  d.layers.assign(61, {.attention = AttentionKind::kMla, .compress_ratio = 1});
  d.mtp_layers.assign(1, {.attention = AttentionKind::kMla, .compress_ratio = 1});
  ModelWeights weights;
  weights.mtp.resize(1);
  CpuDevice cpu({.n_threads = 1});
  const Result<ForwardPass> pass = ForwardPass::create(cpu, d, weights, {.mtp = true});
  ASSERT_FALSE(pass.ok());
  EXPECT_EQ(pass.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(pass.error().in, "layer 61");
  EXPECT_EQ(pass.error().found, "latent attention");
}

}  // namespace
}  // namespace hadal
