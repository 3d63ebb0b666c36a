#include "hub/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/io.h"
#include "hub/manifest.h"
#include "hub/partial_file.h"
#include "testing/temp_folder.h"

namespace hadal::hub {
namespace {

using test::TempFolder;
using ::testing::HasSubstr;

PulledModel stored(const TempFolder& folder, const std::string& name, char digit, int64_t time, bool is_complete) {
  PulledModel model;
  model.name = parse_model_name(name).value();
  model.commit = std::string(40, digit);
  model.folder = folder_of(folder.path(), model.name, model.commit);
  model.files = {
      {.path = "config.json", .name = "config.json", .bytes = 2, .sha256 = "", .git_sha1 = std::string(40, 'a')}};
  model.pulled_unix_s = time;
  model.is_complete = is_complete;
  fs::create_directories(model.folder);
  EXPECT_TRUE(write_manifest(model).ok());
  return model;
}

std::string found_commit(const TempFolder& folder, const std::string& name) {
  const auto model = find_model(folder.path(), parse_model_name(name).value());
  return model ? model->commit.substr(0, 1) : "none";
}

TEST(Store, finds_the_newest_complete_revision_or_the_one_asked_for) {
  const TempFolder folder;
  stored(folder, "a/b@main", '1', 100, true);
  stored(folder, "a/b@v2", '2', 200, true);
  stored(folder, "a/b@main", '3', 300, false);
  stored(folder, "a/c@main", '4', 400, false);
  EXPECT_EQ(found_commit(folder, "a/b"), "2");
  EXPECT_EQ(found_commit(folder, "a/b@main"), "1");
  EXPECT_EQ(found_commit(folder, "a/b@3333333"), "3");
  EXPECT_EQ(found_commit(folder, "a/b@333"), "none");
  EXPECT_EQ(found_commit(folder, "a/c"), "4");
  EXPECT_EQ(found_commit(folder, "a/d"), "none");
}

TEST(Store, lists_a_model_whose_manifest_is_broken_as_incomplete) {
  const TempFolder folder;
  const PulledModel model = stored(folder, "a/b", '1', 100, true);
  for (const char* text : {"", "{", "[]", "{\"format\":2}", "{\"format\":1,\"name\":\"../x\"}"}) {
    folder.write("broken", text);
    fs::rename(folder / "broken", model.folder / kManifestName);
    const auto models = list_models(folder.path());
    ASSERT_EQ(models.size(), 1u) << text;
    EXPECT_FALSE(models[0].is_complete) << text;
  }
}

TEST(Store, reads_back_what_it_wrote) {
  const TempFolder folder;
  PulledModel model = stored(folder, "a/b@v1", '1', 100, true);
  model.hub = "https://hub.example";
  const Result<PulledModel> again = parse_manifest(manifest_text(model), "x");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->files, model.files);
  EXPECT_EQ(manifest_text(*again), manifest_text(model));
}

TEST(Store, removes_a_model_and_nothing_beside_it) {
  const TempFolder folder;
  const PulledModel first = stored(folder, "a/b", '1', 100, true);
  const PulledModel second = stored(folder, "a/b", '2', 100, true);
  folder.write("mine", "precious");
  fs::create_symlink(folder / "mine", first.folder / "link");
  fs::create_directory_symlink(second.folder, first.folder / "folder");
  ASSERT_TRUE(remove_model(folder.path(), first).ok());
  EXPECT_FALSE(fs::exists(first.folder));
  EXPECT_TRUE(fs::exists(folder / "mine"));
  EXPECT_TRUE(fs::exists(second.folder / kManifestName));
  ASSERT_TRUE(remove_model(folder.path(), second).ok());
  EXPECT_FALSE(fs::exists(folder / "a"));
}

TEST(Store, does_not_remove_through_a_link) {
  const TempFolder folder;
  const TempFolder other;
  const PulledModel model = stored(other, "a/b", '1', 100, true);
  fs::create_directory_symlink(other / "a", folder / "a");
  EXPECT_TRUE(list_models(folder.path()).empty());
  const Result<void> removed = remove_model(folder.path(), model);
  ASSERT_FALSE(removed.ok());
  EXPECT_THAT(removed.error().found, HasSubstr("link"));
  EXPECT_TRUE(fs::exists(model.folder / kManifestName));
}

TEST(Store, lets_one_at_a_time_change_a_model) {
  const TempFolder folder;
  const ModelName name = parse_model_name("a/b").value();
  {
    const Result<ModelLock> first = ModelLock::take(folder.path(), name);
    ASSERT_TRUE(first.ok());
    const Result<ModelLock> second = ModelLock::take(folder.path(), name);
    ASSERT_FALSE(second.ok());
    EXPECT_THAT(second.error().what, HasSubstr("another hadal"));
    EXPECT_TRUE(ModelLock::take(folder.path(), parse_model_name("a/c").value()).ok());
  }
  EXPECT_TRUE(ModelLock::take(folder.path(), name).ok());
}

// ---- a file on its way ----

const HubFile kFile{.path = "x", .name = "x", .bytes = 10, .sha256 = to_hex(sha256("0123456789")), .git_sha1 = ""};

TEST(PartialFile, counts_only_blocks_whose_line_is_whole) {
  const TempFolder folder;
  {
    const PartialFile partial = PartialFile::open(folder.path(), kFile, 4).value();
    ASSERT_TRUE(partial.finish_block(1).ok());
  }
  EXPECT_EQ(blocks_here(folder.path(), kFile, 4), (std::vector<bool>{false, true, false}));
  std::ofstream(folder / "x.part.blocks", std::ios::app) << "0";  // killed within a write
  EXPECT_EQ(blocks_here(folder.path(), kFile, 4), (std::vector<bool>{false, true, false}));
  ASSERT_TRUE(PartialFile::open(folder.path(), kFile, 4)->finish_block(2).ok());
  EXPECT_TRUE(blocks_here(folder.path(), kFile, 4)[2]) << "and does not join the next one";
}

TEST(PartialFile, of_another_file_begins_anew) {
  const TempFolder folder;
  ASSERT_TRUE(PartialFile::open(folder.path(), kFile, 4)->finish_block(0).ok());
  HubFile other = kFile;
  other.sha256[0] ^= 1;
  EXPECT_FALSE(blocks_here(folder.path(), other, 4)[0]);
  EXPECT_FALSE(blocks_here(folder.path(), kFile, 5)[0]) << "another size of blocks";
  EXPECT_TRUE(blocks_here(folder.path(), kFile, 4)[0]);
  fs::resize_file(folder / "x.part", 9);
  EXPECT_FALSE(blocks_here(folder.path(), kFile, 4)[0]) << "the bytes are gone";
}

}  // namespace
}  // namespace hadal::hub
