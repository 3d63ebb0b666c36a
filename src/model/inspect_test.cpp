#include "model/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "testing/checkpoint_builder.h"
#include "testing/temp_folder.h"

namespace hadal {
namespace {

using test::CheckpointBuilder;
using test::must;
using test::TempFolder;
using ::testing::HasSubstr;

const fs::path kSource = HADAL_SOURCE_DIR;

struct Inspected {
  explicit Inspected(ModelFiles model_files)
      : files(std::move(model_files)), report(inspect_model(files, checkpoint)) {}
  explicit Inspected(const fs::path& path) : Inspected(must(ModelFiles::open(path))) {}

  ModelFiles files;
  std::optional<Checkpoint> checkpoint;
  InspectReport report;
};

const TensorGroup* group_of(const InspectReport& report, std::string_view part, DType dtype) {
  for (const TensorGroup& group : report.groups) {
    if (group.part == part && group.dtype == dtype) return &group;
  }
  return nullptr;
}

TEST(Inspect, a_sound_checkpoint_is_told_without_problems) {
  const Inspected tiny(kSource / "models/v4-tiny");
  EXPECT_TRUE(tiny.report.problems.empty());
  ASSERT_TRUE(tiny.report.description.has_value());
  EXPECT_EQ(tiny.report.description->layers.size(), 8u);
  EXPECT_EQ(tiny.report.identity.size(), 64u);
  EXPECT_TRUE(tiny.report.has_draft);
  EXPECT_EQ(tiny.report.tensor_bytes, 24789826u);
  ASSERT_EQ(tiny.report.shards.size(), 1u);
  EXPECT_EQ(tiny.report.shards[0].n_tensors, tiny.report.n_tensors);

  const TensorGroup* experts = group_of(tiny.report, "routed experts", DType::kI8);
  ASSERT_NE(experts, nullptr);
  EXPECT_EQ(experts->n_tensors, 8u * 24 * 3);
  EXPECT_EQ(experts->bytes, 8u * 24 * 3 * 128 * 128);
  EXPECT_NE(group_of(tiny.report, "attention", DType::kF8E8M0), nullptr);
  EXPECT_NE(group_of(tiny.report, "embedding", DType::kBF16), nullptr);
  EXPECT_EQ(group_of(tiny.report, "other", DType::kBF16), nullptr);
  uint64_t bytes = 0;
  for (const TensorGroup& group : tiny.report.groups) bytes += group.bytes;
  EXPECT_EQ(bytes, tiny.report.tensor_bytes);
}

TEST(Inspect, every_fixtures_tensors_belong_to_a_part) {
  for (const char* folder : {"tests/data/v4-random", "tests/data/v4-random-hf", "tests/data/v4-random-fp8"}) {
    const Inspected model(kSource / folder);
    EXPECT_TRUE(model.report.problems.empty()) << folder;
    for (const TensorGroup& group : model.report.groups) EXPECT_NE(group.part, "other") << folder;
  }
}

TEST(Inspect, one_shard_of_many_is_shown_for_itself) {
  const Inspected shard(kSource / "tests/data/v4-random/model-00002-of-00002.safetensors");
  EXPECT_TRUE(shard.report.problems.empty());
  EXPECT_EQ(shard.report.n_tensors, 217u);
}

TEST(Inspect, what_does_not_fit_is_told_beside_what_is_there) {
  CheckpointBuilder builder = CheckpointBuilder::from(kSource / "tests/data/v4-random-fp8");
  builder.erase("norm.weight");
  const Inspected model(builder.files());
  EXPECT_TRUE(model.report.description.has_value());
  EXPECT_TRUE(model.report.has_weights);
  EXPECT_GT(model.report.groups.size(), 5u);
  ASSERT_EQ(model.report.problems.size(), 1u);
  EXPECT_THAT(model.report.problems[0].in, HasSubstr("norm.weight"));
}

TEST(Inspect, a_broken_config_leaves_the_weights_and_the_other_way_round) {
  CheckpointBuilder builder = CheckpointBuilder::from(kSource / "tests/data/v4-random-fp8");
  builder.config.set("model_type", json::Value::string("llama"));
  const Inspected llama(builder.files());
  EXPECT_FALSE(llama.report.description.has_value());
  EXPECT_TRUE(llama.report.has_weights);
  ASSERT_EQ(llama.report.problems.size(), 1u);
  EXPECT_EQ(llama.report.problems[0].code, ErrorCode::kUnsupported);

  const TempFolder folder;
  fs::copy_file(kSource / "tests/data/v4-random/config.json", folder / "config.json");
  folder.write("model.safetensors", "not a safetensors file");
  const Inspected broken(folder.path());
  EXPECT_TRUE(broken.report.description.has_value());
  EXPECT_FALSE(broken.report.has_weights);
  EXPECT_FALSE(broken.checkpoint.has_value());
  ASSERT_EQ(broken.report.problems.size(), 1u);
  EXPECT_EQ(broken.report.problems[0].code, ErrorCode::kCorrupt);
}

TEST(Inspect, json_has_exact_numbers_and_the_problems) {
  CheckpointBuilder builder = CheckpointBuilder::from(kSource / "tests/data/v4-random-fp8");
  builder.erase("norm.weight");
  const Inspected model(builder.files());
  const json::Value out = inspect_to_json(model.report);
  EXPECT_EQ(out.find("tensor_bytes")->as_int(), static_cast<int64_t>(model.report.tensor_bytes));
  EXPECT_EQ(out.find("description")->find("hidden_size")->as_int(), 256);
  EXPECT_EQ(out.find("problems")->items()[0].find("code")->as_string(), "not found");
  EXPECT_EQ(tensors_to_json(*model.checkpoint).items().size(), model.report.n_tensors);
}

// --- every number
// --------------------------------------------------------------------------------------------------------

TEST(VerifyNumbers, the_fixtures_hold_numbers_only) {
  for (const char* folder : {"tests/data/v4-random", "tests/data/v4-random-fp8", "models/v4-tiny"}) {
    const Inspected model(kSource / folder);
    uint64_t last = 0;
    const VerifyReport report = must(verify_numbers(*model.checkpoint, [&](uint64_t done, uint64_t of) {
      EXPECT_LE(done, of);
      last = done;
      return true;
    }));
    EXPECT_EQ(report.n_bad_tensors, 0u) << folder << " " << (report.bad.empty() ? "" : report.bad[0].place);
    EXPECT_EQ(report.read_bytes, model.checkpoint->tensor_bytes());
    EXPECT_EQ(last, report.read_bytes);
  }
}

TEST(VerifyNumbers, each_code_that_is_no_number_is_found_where_it_is) {
  struct Damage {
    const char* tensor;
    size_t element;
    std::string code;
  };
  const Damage damages[] = {
      {"layers.0.attn.wkv.weight", 17, "\x7f"},
      {"layers.0.attn.wkv.weight", 18, "\xff"},
      {"layers.0.ffn.experts.2.w1.scale", 5, "\xff"},
      {"embed.weight", 99, std::string("\x80\x7f", 2)},  // infinity
      {"head.weight", 100, std::string("\xc1\xff", 2)},  // NaN
      {"layers.1.hc_attn_fn", 3, std::string("\x00\x00\x80\x7f", 4)},
  };
  for (const Damage& damage : damages) {
    CheckpointBuilder builder = CheckpointBuilder::from(kSource / "tests/data/v4-random-fp8");
    builder.tensor(damage.tensor).bytes.replace(damage.element * damage.code.size(), damage.code.size(), damage.code);
    const Inspected model(builder.files());
    const VerifyReport report = must(verify_numbers(*model.checkpoint, {}));
    ASSERT_EQ(report.n_bad_tensors, 1u) << damage.tensor;
    EXPECT_THAT(report.bad[0].place, HasSubstr(damage.tensor));
    EXPECT_EQ(report.bad[0].n, 1u);
    EXPECT_EQ(report.bad[0].first, damage.element);
  }
}

TEST(VerifyNumbers, largest_finite_numbers_are_numbers) {
  CheckpointBuilder builder = CheckpointBuilder::from(kSource / "tests/data/v4-random-fp8");
  builder.tensor("layers.0.attn.wkv.weight").bytes[0] = '\x7e';
  builder.tensor("layers.0.attn.wkv.scale").bytes[0] = '\xfe';
  const float largest = std::numeric_limits<float>::max();
  std::memcpy(builder.tensor("hc_head_fn").bytes.data(), &largest, 4);
  const Inspected model(builder.files());
  EXPECT_EQ(must(verify_numbers(*model.checkpoint, {})).n_bad_tensors, 0u);
}

TEST(VerifyNumbers, it_can_be_cancelled) {
  const Inspected model(kSource / "models/v4-tiny");
  const Result<VerifyReport> report = verify_numbers(*model.checkpoint, [](uint64_t, uint64_t) { return false; });
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace hadal
