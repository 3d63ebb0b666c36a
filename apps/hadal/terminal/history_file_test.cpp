#include "terminal/history_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "testing/temp_folder.h"

namespace hadal {
namespace {

class HistoryFileTest : public testing::Test {
 protected:
  test::TempFolder folder_;
  fs::path path_ = folder_ / "state" / "hadal" / "history";
};

using Entries = std::vector<std::string>;

TEST_F(HistoryFileTest, what_was_appended_is_loaded_oldest_first) {
  const HistoryFile history(path_);
  EXPECT_EQ(history.load().value(), Entries{});
  ASSERT_TRUE(history.append("first").ok());
  ASSERT_TRUE(history.append("two\nlines \"quoted\" 深度").ok());
  EXPECT_EQ(HistoryFile(path_).load().value(), (Entries{"first", "two\nlines \"quoted\" 深度"}));
}

TEST_F(HistoryFileTest, file_and_folder_are_private) {
  ASSERT_TRUE(HistoryFile(path_).append("secret").ok());
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  ASSERT_EQ(::stat(path_.parent_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0700u);
}

TEST_F(HistoryFileTest, only_the_last_thousand_entries_come_back) {
  const HistoryFile history(path_);
  for (size_t i = 0; i < kHistoryEntriesMax + 5; ++i) ASSERT_TRUE(history.append(std::to_string(i)).ok());
  const Entries entries = history.load().value();
  ASSERT_EQ(entries.size(), kHistoryEntriesMax);
  EXPECT_EQ(entries.front(), "5");
  EXPECT_EQ(entries.back(), "1004");
}

TEST_F(HistoryFileTest, a_file_beyond_its_limit_is_written_anew_with_what_is_kept) {
  const HistoryFile history(path_);
  const std::string entry(1100, 'x');
  for (size_t i = 0; i < 2 * kHistoryEntriesMax; ++i) ASSERT_TRUE(history.append(entry).ok());
  ASSERT_GT(fs::file_size(path_), kHistoryCompactBytes);
  EXPECT_EQ(history.load().value().size(), kHistoryEntriesMax);
  EXPECT_EQ(fs::file_size(path_), kHistoryEntriesMax * (entry.size() + 3));
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
}

TEST_F(HistoryFileTest, an_entry_beyond_its_limit_is_not_kept) {
  const HistoryFile history(path_);
  EXPECT_TRUE(history.append(std::string(kHistoryEntryBytesMax + 1, 'x')).ok());
  EXPECT_EQ(history.load().value(), Entries{});
}

TEST_F(HistoryFileTest, broken_lines_are_skipped) {
  fs::create_directories(path_.parent_path());
  std::ofstream(path_) << "\"good\"\nbad\n{\"a\":1}\n\n\"\xff\"\n\"also good\"\n\"cut o";
  EXPECT_EQ(HistoryFile(path_).load().value(), (Entries{"good", "also good"}));
}

TEST_F(HistoryFileTest, a_link_is_not_followed_and_the_error_names_the_file) {
  fs::create_directories(path_.parent_path());
  fs::create_symlink(folder_ / "elsewhere", path_);
  const Result<void> result = HistoryFile(path_).append("x");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().in, path_.string());
  EXPECT_FALSE(fs::exists(folder_ / "elsewhere"));
}

TEST_F(HistoryFileTest, an_empty_path_keeps_nothing) {
  const HistoryFile history{fs::path()};
  EXPECT_TRUE(history.append("x").ok());
  EXPECT_EQ(history.load().value(), Entries{});
}

TEST(HistoryPath, follows_the_xdg_rules) {
  EXPECT_EQ(history_path("/state", "/users/a"), "/state/hadal/history");
  EXPECT_EQ(history_path(nullptr, "/users/a"), "/users/a/.local/state/hadal/history");
  EXPECT_EQ(history_path("", "/users/a"), "/users/a/.local/state/hadal/history");
  EXPECT_EQ(history_path("relative", "/users/a"), "/users/a/.local/state/hadal/history");
  EXPECT_EQ(history_path(nullptr, nullptr), "");
}

}  // namespace
}  // namespace hadal
