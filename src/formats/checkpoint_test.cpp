#include "formats/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/checkpoint_builder.h"
#include "testing/temp_folder.h"

namespace hadal {
namespace {

using test::must;
using test::TempFolder;
using ::testing::HasSubstr;

const fs::path kSource = HADAL_SOURCE_DIR;

// A shard of U8 tensors of 4 bytes each.
std::string shard(std::initializer_list<std::string> names) {
  std::vector<TensorToWrite> tensors;
  for (const std::string& name : names) tensors.push_back({name, DType::kU8, {4}});
  return safetensors_header(tensors, {}) + std::string(4 * names.size(), '\1');
}

Result<Checkpoint> open(const fs::path& path) {
  static std::list<ModelFiles> kept;  // outlives the checkpoint
  HADAL_ASSIGN(ModelFiles files, ModelFiles::open(path));
  return Checkpoint::open(kept.emplace_back(std::move(files)));
}

TEST(Checkpoint, the_fixtures_open_whole_sharded_and_by_file) {
  const Checkpoint sharded = must(open(kSource / "tests/data/v4-random"));
  EXPECT_EQ(sharded.tensors().size(), 367u);
  EXPECT_EQ(sharded.tensor_bytes(), 2106400u);
  ASSERT_NE(sharded.find("mtp.0.norm.weight"), nullptr);
  EXPECT_EQ(sharded.find("mtp.0.norm.weight")->file, "model-00002-of-00002.safetensors");
  EXPECT_EQ(sharded.find("mtp.0.norm"), nullptr);

  EXPECT_EQ(must(open(kSource / "models/v4-tiny")).tensor_bytes(), 24789826u);
  EXPECT_GT(must(open(kSource / "tests/data/v4-random-fp8")).tensors().size(), 200u);
  EXPECT_GT(must(open(kSource / "tests/data/v4-random/model-00001-of-00002.safetensors")).tensors().size(), 100u);
  EXPECT_EQ(must(open(kSource / "tests/data/v4-random/model.safetensors.index.json")).tensor_bytes(), 2106400u);
}

TEST(Checkpoint, a_folder_with_one_file_of_any_name_is_a_checkpoint) {
  const TempFolder folder;
  folder.write("weights.safetensors", shard({"a"}));
  EXPECT_NE(must(open(folder.path())).find("a"), nullptr);
  folder.write("more.safetensors", shard({"b"}));
  const Result<Checkpoint> two = open(folder.path());
  ASSERT_FALSE(two.ok());
  EXPECT_EQ(two.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(two.error().found, HasSubstr("2 .safetensors files and no index"));
}

TEST(Checkpoint, a_folder_without_weights_is_not_found) {
  const TempFolder folder;
  const Result<Checkpoint> none = open(folder.path());
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(none.error().want, HasSubstr("model.safetensors"));
}

struct BadIndex {
  const char* why;
  const char* index;
  ErrorCode code;
  const char* in;
  const char* want;
  const char* found;
};

// Beside the index lie 1.safetensors with a and b, and 2.safetensors with c.
constexpr BadIndex kBadIndexes[] = {
    {"not JSON", "{", ErrorCode::kCorrupt, "model.safetensors.index.json", "", ""},
    {"a list", "[]", ErrorCode::kCorrupt, "weight_map", "an object", "nothing"},
    {"no map", R"({"metadata":{}})", ErrorCode::kCorrupt, "weight_map", "an object", "nothing"},
    {"map is a string", R"({"weight_map":"x"})", ErrorCode::kCorrupt, "weight_map", "an object", "\"x\""},
    {"nested too deeply", R"({"metadata":[[[[[[[[[]]]]]]]]],"weight_map":{}})", ErrorCode::kLimit, "index.json",
     "levels", ""},
    {"shard is a number", R"({"weight_map":{"a":1}})", ErrorCode::kCorrupt, "weight_map.\"a\"", "a file name", "1"},
    {"way up", R"({"weight_map":{"a":"../1.safetensors"}})", ErrorCode::kInvalid, "weight_map.\"a\"", "same folder",
     "../1.safetensors"},
    {"absolute path", R"({"weight_map":{"a":"/etc/1.safetensors"}})", ErrorCode::kInvalid, "weight_map.\"a\"",
     "same folder", "/etc/1.safetensors"},
    {"sub-folder", R"({"weight_map":{"a":"x/1.safetensors"}})", ErrorCode::kInvalid, "weight_map.\"a\"", "same folder",
     "x/1.safetensors"},
    {"backslash", R"({"weight_map":{"a":"..\\1.safetensors"}})", ErrorCode::kInvalid, "weight_map.\"a\"", "same folder",
     "1.safetensors"},
    {"no shard's name", R"({"weight_map":{"a":"config.json"}})", ErrorCode::kInvalid, "weight_map.\"a\"", "same folder",
     "config.json"},
    {"name with NUL", R"({"weight_map":{"a":"1\u0000.safetensors"}})", ErrorCode::kInvalid, "weight_map.\"a\"",
     "same folder", "\\u0000"},
    {"name that speaks to the terminal", R"({"weight_map":{"a":"\u001b[2J.safetensors"}})", ErrorCode::kInvalid,
     "weight_map.\"a\"", "same folder", "\\u001b[2J"},
    {"shard missing",
     R"({"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"3.safetensors","d":"4.safetensors"}})",
     ErrorCode::kNotFound, "", "3.safetensors", "2 of 3 shards are missing"},
    {"tensor in another shard", R"({"weight_map":{"a":"2.safetensors","b":"1.safetensors","c":"2.safetensors"}})",
     ErrorCode::kCorrupt, "weight_map.\"a\"", "1.safetensors", "2.safetensors"},
    {"tensor not in the index", R"({"weight_map":{"a":"1.safetensors","c":"2.safetensors"}})", ErrorCode::kCorrupt,
     "weight_map.\"b\"", "1.safetensors", "nothing"},
    {"tensor not in its shard",
     R"({"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors","d":"2.safetensors"}})",
     ErrorCode::kCorrupt, "weight_map.\"d\"", "the tensor in 2.safetensors", "no such tensor"},
    {"tensor twice in the index", R"({"weight_map":{"a":"1.safetensors","a":"2.safetensors"}})", ErrorCode::kCorrupt,
     "index.json", "each key once", "\"a\""},
    {"total size wrong",
     R"({"metadata":{"total_size":13},"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors"}})",
     ErrorCode::kCorrupt, "metadata.total_size", "12, the sum", "13"},
    {"total size no number",
     R"({"metadata":{"total_size":"12"},"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors"}})",
     ErrorCode::kCorrupt, "metadata.total_size", "the sum", "\"12\""},
};

TEST(Checkpoint, each_bad_index_is_refused_with_place_want_and_found) {
  const TempFolder folder;
  folder.write("1.safetensors", shard({"a", "b"}));
  folder.write("2.safetensors", shard({"c"}));
  folder.write("config.json", "{}");
  const char* good =
      R"({"metadata":{"total_size":12},"weight_map":{"c":"2.safetensors","a":"1.safetensors","b":"1.safetensors"}})";
  folder.write("model.safetensors.index.json", good);
  EXPECT_EQ(must(open(folder.path())).tensors().size(), 3u);
  for (const BadIndex& bad : kBadIndexes) {
    folder.write("model.safetensors.index.json", bad.index);
    const Result<Checkpoint> opened = open(folder.path());
    ASSERT_FALSE(opened.ok()) << bad.why;
    EXPECT_EQ(opened.error().code, bad.code) << bad.why << "\n" << opened.error().to_string();
    EXPECT_THAT(opened.error().in, HasSubstr(bad.in)) << bad.why;
    EXPECT_THAT(opened.error().want, HasSubstr(bad.want)) << bad.why;
    EXPECT_THAT(opened.error().found, HasSubstr(bad.found)) << bad.why;
  }
}

TEST(Checkpoint, a_tensor_in_two_shards_is_refused_by_name) {
  const TempFolder folder;
  folder.write("1.safetensors", shard({"a", "b"}));
  folder.write("2.safetensors", shard({"b"}));
  folder.write("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  const Result<Checkpoint> opened = open(folder.path());
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(opened.error().what, "tensor is in two shards");
  EXPECT_THAT(opened.error().in, HasSubstr("2.safetensors, byte"));
  EXPECT_THAT(opened.error().found, HasSubstr("1.safetensors, byte"));
}

TEST(Checkpoint, a_damaged_shard_is_named) {
  const TempFolder folder;
  folder.write("1.safetensors", shard({"a"}).substr(0, 60));
  folder.write("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors"}})");
  const Result<Checkpoint> opened = open(folder.path());
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(opened.error().in, HasSubstr("1.safetensors"));
}

}  // namespace
}  // namespace hadal
