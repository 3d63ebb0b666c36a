// Damaged weights on every device: a step whose numbers are no longer finite ends with an error that names the layer,
// and its sequence stays as long as it was.

#include <gtest/gtest.h>

#include <cmath>

#include "device/open_device.h"
#include "engine/loaded_model.h"
#include "forward/forward_pass.h"
#include "model/device_weights.h"
#include "testing/cuda.h"

namespace hadal {
namespace {

class NoLogits final : public StepObserver {
 public:
  void logits(size_t, int64_t, std::span<const float>) override { FAIL() << "logits of a broken step"; }
};

class NotFinite : public ::testing::TestWithParam<Device::Kind> {};

TEST_P(NotFinite, activations_end_the_step_with_the_layers_name) {
  if (const std::string why = test::why_skip(GetParam()); !why.empty()) GTEST_SKIP() << why;
  Result<ModelFiles> files = ModelFiles::open(fs::path(HADAL_SOURCE_DIR) / "tests/data/v4-random");
  ASSERT_TRUE(files.ok());
  const auto model = LoadedModel::open(std::move(*files));
  ASSERT_TRUE(model.ok());
  const ModelDescription& d = (*model)->description;
  ModelWeights damaged = (*model)->weights.weights();
  std::vector<float> norm(static_cast<size_t>(d.hidden), 1.0f);
  norm.back() = NAN;
  damaged.layers[1].ffn_norm = norm;

  const Result<std::unique_ptr<Device>> device = open_device({.kind = GetParam()}, {.n_threads = 2});
  ASSERT_TRUE(device.ok());
  const Result<DeviceWeights> weights = DeviceWeights::create(**device, damaged, false);
  ASSERT_TRUE(weights.ok());
  Result<ForwardPass> pass = ForwardPass::create(**device, d, weights->weights(),
                                                 {.mode = NumericMode::kExact, .tokens_max = 8, .context_tokens = 64});
  ASSERT_TRUE(pass.ok());
  Result<StateLayout> layout =
      StateLayout::create(d, "damaged", NumericMode::kExact, default_state_options(d, NumericMode::kExact));
  ASSERT_TRUE(layout.ok());
  Result<SequenceState> state =
      SequenceState::create(**device, std::make_shared<const StateLayout>(std::move(*layout)));
  ASSERT_TRUE(state.ok());

  const std::vector<int32_t> ids = {1, 2, 3};
  const std::vector<int64_t> wanted = {2};
  const SequenceStep step{.state = &*state, .ids = ids, .logits_at = wanted, .mtp_logits_at = {}};
  NoLogits observer;
  const Result<void> result = pass->run({&step, 1}, observer);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(result.error().in, "layer 1, position 0");
  EXPECT_EQ(state->length(), 0);
}

INSTANTIATE_TEST_SUITE_P(Devices, NotFinite, ::testing::Values(Device::Kind::kCpu, Device::Kind::kCuda),
                         [](const auto& test) { return test.param == Device::Kind::kCuda ? "gpu" : "cpu"; });

}  // namespace
}  // namespace hadal
