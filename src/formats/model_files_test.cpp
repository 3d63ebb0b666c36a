#include "formats/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "testing/checkpoint_builder.h"
#include "testing/temp_folder.h"

namespace hadal {
namespace {

using test::must;
using test::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ModelFiles, a_folder_gives_its_regular_files_by_base_name) {
  const TempFolder folder;
  folder.write("b.json", "{}");
  folder.write("a.txt", "hello");
  folder.write("empty", "");
  fs::create_directory(folder / "sub");
  ModelFiles files = must(ModelFiles::open(folder.path()));
  EXPECT_THAT(files.names(), ElementsAre("a.txt", "b.json", "empty"));
  EXPECT_TRUE(files.has("a.txt"));
  EXPECT_FALSE(files.has("sub"));
  EXPECT_EQ(must(files.text("a.txt", 5)), "hello");
  EXPECT_EQ(must(files.text("empty", 5)), "");
  EXPECT_EQ(must(files.map("a.txt")).data(), must(files.map("a.txt")).data());
  EXPECT_EQ(files.place(), folder.path().string());
  EXPECT_EQ(files.only_file(), "");
  EXPECT_EQ(files.text("a.txt", 4).error().code, ErrorCode::kLimit);
  EXPECT_EQ(files.map("c").error().code, ErrorCode::kNotFound);
}

TEST(ModelFiles, a_single_file_sees_its_neighbours) {
  const TempFolder folder;
  folder.write("x.safetensors", "12345678");
  folder.write("config.json", "{}");
  ModelFiles files = must(ModelFiles::open(folder / "x.safetensors"));
  EXPECT_EQ(files.only_file(), "x.safetensors");
  EXPECT_TRUE(files.has("config.json"));
}

TEST(ModelFiles, embedded_files_are_found_without_a_disk) {
  static constexpr std::array<std::byte, 2> kBytes = {std::byte{'h'}, std::byte{'i'}};
  const std::vector<EmbeddedFile> list = {{"a", kBytes}};
  ModelFiles files = ModelFiles::embedded("v4-tiny", list);
  EXPECT_TRUE(files.is_embedded());
  EXPECT_EQ(files.place(), "embedded:v4-tiny");
  EXPECT_EQ(must(files.text("a", 2)), "hi");
  EXPECT_EQ(files.map("b").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(files.map("../a").error().code, ErrorCode::kInvalid);
}

TEST(ModelFiles, names_that_leave_the_folder_are_refused) {
  const TempFolder folder;
  folder.write("a", "x");
  ModelFiles files = must(ModelFiles::open(folder.path()));
  for (const std::string_view name :
       {std::string_view("../a"), std::string_view("/etc/passwd"), std::string_view("./a"), std::string_view(".."),
        std::string_view("."), std::string_view(""), std::string_view("a\0b", 3), std::string_view("a\\b"),
        std::string_view("\x1b[2J"), std::string_view("a\x7f")}) {
    EXPECT_FALSE(files.has(name)) << name;
    EXPECT_EQ(files.map(name).error().code, ErrorCode::kInvalid) << name;
  }
}

TEST(ModelFiles, a_link_that_leaves_the_folder_is_refused) {
  const TempFolder outside;
  outside.write("secret", "x");
  const TempFolder folder;
  folder.write("real", "y");
  fs::create_symlink(outside / "secret", folder / "leaves");
  fs::create_symlink("real", folder / "stays");
  ModelFiles files = must(ModelFiles::open(folder.path()));
  EXPECT_EQ(must(files.text("stays", 1)), "y");
  const Result<std::string_view> leaves = files.text("leaves", 1);
  ASSERT_FALSE(leaves.ok());
  EXPECT_EQ(leaves.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(leaves.error().in, HasSubstr("leaves"));
  EXPECT_THAT(leaves.error().found, HasSubstr("secret"));
  // A link that the user names is the user's choice.
  EXPECT_EQ(must(must(ModelFiles::open(folder / "leaves")).text("leaves", 1)), "x");
}

TEST(ModelFiles, the_hub_caches_links_into_its_blobs_are_followed) {
  const TempFolder hub;
  fs::create_directories(hub / "blobs");
  fs::create_directories(hub / "snapshots/abc");
  hub.write("blobs/123", "weights");
  hub.write("elsewhere", "x");
  fs::create_symlink("../../blobs/123", hub / "snapshots/abc/model.safetensors");
  fs::create_symlink("../../elsewhere", hub / "snapshots/abc/config.json");
  ModelFiles files = must(ModelFiles::open(hub / "snapshots/abc"));
  EXPECT_EQ(must(files.text("model.safetensors", 10)), "weights");
  EXPECT_EQ(files.text("config.json", 10).error().code, ErrorCode::kInvalid);
}

TEST(ModelFiles, what_is_no_file_is_refused_and_never_waited_for) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  ModelFiles files = must(ModelFiles::open(folder.path()));
  EXPECT_FALSE(files.has("pipe"));
  EXPECT_EQ(files.map("pipe").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ModelFiles::open(folder / "pipe").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(ModelFiles::open(folder / "nothing").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace hadal
