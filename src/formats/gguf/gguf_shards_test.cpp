#include "formats/gguf/gguf_shards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>

#include "formats/checkpoint.h"
#include "testing/checkpoint_builder.h"
#include "testing/gguf_bytes.h"
#include "testing/temp_folder.h"

namespace hadal {
namespace {

using test::gguf_key;
using test::gguf_tensor;
using test::GgufParts;
using test::must;
using test::raw;
using test::TempFolder;
using ::testing::HasSubstr;

// Shard i of n with one tensor.
std::string shard(std::string_view tensor, uint16_t i, uint16_t n, int32_t total) {
  return GgufParts{
      .keys = {gguf_key(kSplitNoKey, GgufType::kU16, raw(i)), gguf_key(kSplitCountKey, GgufType::kU16, raw(n)),
               gguf_key(kSplitTensorsKey, GgufType::kI32, raw(total))},
      .tensors = {gguf_tensor(tensor, {8}, 0, 0)},
      .data_bytes = 32}
      .file();
}

Result<Checkpoint> open(const fs::path& path) {
  static std::list<ModelFiles> kept;  // outlives the checkpoint
  HADAL_ASSIGN(ModelFiles files, ModelFiles::open(path));
  return Checkpoint::open(kept.emplace_back(std::move(files)));
}

void write_set(const TempFolder& folder) {
  folder.write("m-00001-of-00002.gguf", shard("a", 0, 2, 2));
  folder.write("m-00002-of-00002.gguf", shard("b", 1, 2, 2));
}

TEST(GgufShards, a_set_opens_by_folder_and_by_any_of_its_files) {
  const TempFolder folder;
  write_set(folder);
  for (const fs::path& path : {folder.path(), folder / "m-00001-of-00002.gguf", folder / "m-00002-of-00002.gguf"}) {
    const Checkpoint checkpoint = must(open(path));
    ASSERT_EQ(checkpoint.tensors().size(), 2u);
    EXPECT_EQ(checkpoint.find("b")->file, "m-00002-of-00002.gguf");
    ASSERT_NE(checkpoint.gguf(), nullptr);
    EXPECT_EQ(checkpoint.gguf()->find(kSplitNoKey)->as_int(), 0);
  }
}

TEST(GgufShards, one_file_of_any_name_is_a_checkpoint) {
  const TempFolder folder;
  folder.write("one.gguf", GgufParts{.tensors = {gguf_tensor("t", {8}, 0, 0)}, .data_bytes = 32}.file());
  EXPECT_NE(must(open(folder.path())).find("t"), nullptr);
  EXPECT_NE(must(open(folder / "one.gguf")).find("t"), nullptr);
  folder.write("two.gguf", GgufParts{}.file());
  const Result<Checkpoint> several = open(folder.path());
  ASSERT_FALSE(several.ok());
  EXPECT_THAT(several.error().what, HasSubstr("several models"));
  EXPECT_THAT(several.error().found, HasSubstr("2 .gguf files"));
}

struct BadSet {
  const char* why;
  std::string second;  // empty: no such file
  ErrorCode code;
  const char* in;
  const char* want;
  const char* found;
};

TEST(GgufShards, a_wrong_set_is_refused) {
  const BadSet sets[] = {
      {"a shard is missing", "", ErrorCode::kNotFound, "", "m-00002-of-00002.gguf", "1 of 2 shards are missing"},
      {"another number", shard("b", 0, 2, 2), ErrorCode::kCorrupt, "split.no", "1", "0"},
      {"another count", shard("b", 1, 3, 2), ErrorCode::kCorrupt, "split.count", "2", "3"},
      {"no keys", GgufParts{}.file(), ErrorCode::kCorrupt, "split.count", "2", "nothing"},
      {"a tensor twice", shard("a", 1, 2, 2), ErrorCode::kCorrupt, "\"a\"", "once", "m-00001-of-00002.gguf"},
      {"too few tensors",
       GgufParts{.keys = {gguf_key(kSplitNoKey, GgufType::kU16, raw(uint16_t{1})),
                          gguf_key(kSplitCountKey, GgufType::kU16, raw(uint16_t{2}))}}
           .file(),
       ErrorCode::kCorrupt, "split.tensors.count", "1, the tensors", "2"},
  };
  for (const BadSet& bad : sets) {
    const TempFolder folder;
    folder.write("m-00001-of-00002.gguf", shard("a", 0, 2, 2));
    if (!bad.second.empty()) folder.write("m-00002-of-00002.gguf", bad.second);
    const Result<Checkpoint> opened = open(folder / "m-00001-of-00002.gguf");
    ASSERT_FALSE(opened.ok()) << bad.why;
    EXPECT_EQ(opened.error().code, bad.code) << bad.why << opened.error().to_string();
    EXPECT_THAT(opened.error().in, HasSubstr(bad.in)) << bad.why;
    EXPECT_THAT(opened.error().want, HasSubstr(bad.want)) << bad.why;
    EXPECT_THAT(opened.error().found, HasSubstr(bad.found)) << bad.why;
  }
}

TEST(GgufShards, a_shard_under_a_name_of_no_set_is_refused) {
  const TempFolder folder;
  folder.write("renamed.gguf", shard("a", 0, 2, 2));
  const Result<Checkpoint> opened = open(folder / "renamed.gguf");
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().hint, HasSubstr("keep the names"));
}

}  // namespace
}  // namespace hadal
