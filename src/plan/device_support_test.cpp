#include "plan/device_support.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

std::string refusal(const ModelDescription& d, const ModelWeights& weights, NumericMode mode = NumericMode::kFast) {
  const Result<void> result = check_device_support(Device::Kind::kCuda, d, weights, mode);
  return result.ok() ? "" : result.error().in;
}

TEST(DeviceSupport, what_is_missing_on_a_gpu_is_named) {
  ModelDescription d;
  d.layers.resize(1);
  ModelWeights weights;
  weights.embed = {.dtype = DType::kBF16, .rows = 8, .cols = 64};
  weights.head = weights.embed;
  EXPECT_EQ(refusal(d, weights), "");

  ModelDescription latent = d;
  latent.layers[0].attention = AttentionKind::kMla;
  EXPECT_EQ(refusal(latent, weights), "multi-head latent attention");
  EXPECT_TRUE(check_device_support(Device::Kind::kCpu, latent, weights, NumericMode::kFast).ok());
  ModelDescription plain = d;
  plain.residual = ResidualKind::kPlain;
  EXPECT_EQ(refusal(plain, weights), "a residual without hyper-connections");
  ModelDescription lagging = d;
  lagging.residual = ResidualKind::kLaggedHyperConnections;
  EXPECT_EQ(refusal(lagging, weights), "hyper-connections whose mixes lag by a sublayer");
  ModelDescription with_tables = d;
  with_tables.layers[0].engram_rows = 8;
  EXPECT_EQ(refusal(with_tables, weights), "Engram");
  ModelDescription narrow_blocks = d;
  narrow_blocks.activation_block = 32;
  EXPECT_EQ(refusal(narrow_blocks, weights), "activations rounded by 32 channels");
  ModelDescription grouped = d;
  grouped.n_expert_groups = 8;
  EXPECT_EQ(refusal(grouped, weights), "experts chosen within groups");
  ModelDescription scaled = d;
  scaled.activation_scale = ActivationScale::kFloat;
  EXPECT_EQ(refusal(scaled, weights), "");
  EXPECT_EQ(refusal(scaled, weights, NumericMode::kPublished), "activations rounded with float scales");

  ModelWeights narrow = weights;
  narrow.head.cols = 66;
  EXPECT_EQ(refusal(d, narrow), "a matrix with 66 columns, no multiple of 4");

  ModelWeights blocks = weights;
  blocks.head.dtype = DType::kIQ2XXS;
  EXPECT_EQ(refusal(d, blocks), "weights of the GGUF type IQ2_XXS");

  ModelWeights mixed = weights;
  mixed.layers.resize(1);
  const std::byte some{};
  mixed.layers[0].experts.resize(1);
  mixed.layers[0].experts[0].w1 = {.dtype = DType::kF32, .rows = 8, .cols = 64, .data = &some};
  mixed.layers[0].shared.w1 = {.dtype = DType::kBF16, .rows = 8, .cols = 64, .data = &some};
  EXPECT_NE(refusal(d, mixed).find("different activations"), std::string::npos);
  EXPECT_EQ(refusal(d, mixed, NumericMode::kExact), "");
}

}  // namespace
}  // namespace hadal
