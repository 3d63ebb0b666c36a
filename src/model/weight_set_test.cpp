#include "model/weight_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "checkpoint_builder.h"
#include "model/deepseek_v4_names.h"

namespace hadal {
namespace {

using testing::CheckpointBuilder;
using ::testing::HasSubstr;
using testing::must;

const fs::path kSource = HADAL_SOURCE_DIR;

struct Loaded {
  explicit Loaded(const fs::path& folder) : Loaded(must(ModelFiles::open(folder))) {}
  explicit Loaded(ModelFiles model_files)
      : files(std::move(model_files)),
        description(must(parse_model_config(must(json::parse(must(files.text("config.json", 1 << 20)), "config.json")),
                                            "config.json"))),
        checkpoint(must(Checkpoint::open(files))) {}

  ModelFiles files;
  ModelDescription description;
  Checkpoint checkpoint;
};

TEST(WeightSet, every_fixture_binds) {
  for (const char* folder :
       {"tests/data/v4-random", "tests/data/v4-random-hf", "tests/data/v4-random-fp8", "models/v4-tiny"}) {
    const Loaded model(kSource / folder);
    const Result<WeightSet> set = WeightSet::bind(model.description, model.checkpoint);
    ASSERT_TRUE(set.ok()) << folder << "\n" << set.error().to_string();
    EXPECT_EQ(set->weights().layers.size(), model.description.layers.size());
    EXPECT_EQ(set->has_mtp(), std::string_view(folder) != "tests/data/v4-random-hf");
  }
}

}  // namespace
}  // namespace hadal
