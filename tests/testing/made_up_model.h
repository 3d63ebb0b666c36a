// A model of a config, with made-up weights (model/synth.h), loaded from a folder that goes when it does.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "engine/loaded_model.h"
#include "model/synth.h"
#include "testing/checkpoint_builder.h"
#include "testing/temp_folder.h"

namespace hadal::test {

// FP4 experts, FP8 in the tiles that the config asks for (128 when it says nothing), power-of-two scales.
class MadeUpModel {
 public:
  explicit MadeUpModel(json::Value config) : folder_(std::make_unique<TempFolder>()) {
    const ModelDescription d = must(parse_model_config(config, "config.json"));
    const PublishedFormat format{.fp8_tile = d.weight_block_rows == 0 ? 128 : d.weight_block_rows};
    const SynthPlan plan = must(plan_synth(std::move(config), format, uint64_t{1} << 30));
    const Result<void> written = write_synth(plan, folder_->path() / "model", {});
    EXPECT_TRUE(written.ok()) << (written.ok() ? "" : written.error().to_string());
    loaded_ = must(LoadedModel::open(must(ModelFiles::open(folder_->path() / "model"))));
  }

  const std::shared_ptr<const LoadedModel>& loaded() const { return loaded_; }
  fs::path path() const { return folder_->path() / "model"; }

 private:
  std::unique_ptr<TempFolder> folder_;
  std::shared_ptr<const LoadedModel> loaded_;
};

}  // namespace hadal::test
