#include "base/io.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "testing/temp_folder.h"

namespace hadal {
namespace {

using test::TempFolder;
using ::testing::HasSubstr;

std::string text_of(const fs::path& path) {
  const Result<std::string> text = read_file(path, 1 << 20);
  return text.ok() ? *text : text.error().to_string();
}

TEST(Io, a_file_is_read_whole_up_to_the_limit) {
  const TempFolder folder;
  folder.write("a", "12345");
  EXPECT_EQ(*read_file(folder / "a", 5), "12345");
  EXPECT_EQ(*file_bytes(folder / "a"), 5u);
  const Result<std::string> beyond = read_file(folder / "a", 4);
  ASSERT_FALSE(beyond.ok());
  EXPECT_EQ(beyond.error().code, ErrorCode::kLimit);
  EXPECT_EQ(beyond.error().in, (folder / "a").string());
  EXPECT_EQ(beyond.error().want, "at most 4 bytes");
  EXPECT_EQ(beyond.error().found, "5 bytes");
}

TEST(Io, what_cannot_be_read_is_named_with_its_path) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const auto check = [](const auto& result, ErrorCode code, const fs::path& path) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, code) << result.error().to_string();
    EXPECT_EQ(result.error().in, path.string());
  };
  check(read_file(folder / "none", 1), ErrorCode::kNotFound, folder / "none");
  check(MappedFile::open(folder / "none"), ErrorCode::kNotFound, folder / "none");
  check(read_file(folder.path(), 1), ErrorCode::kInvalid, folder.path());
  // A pipe that nobody writes to is refused at once.
  check(read_file(folder / "pipe", 1), ErrorCode::kInvalid, folder / "pipe");
  check(MappedFile::open(folder / "pipe"), ErrorCode::kInvalid, folder / "pipe");
  if (::geteuid() != 0) {
    folder.write("locked", "x");
    fs::permissions(folder / "locked", fs::perms::none);
    check(read_file(folder / "locked", 1), ErrorCode::kIo, folder / "locked");
  }
}

TEST(Io, a_map_survives_moves_and_an_empty_file_maps_to_nothing) {
  const TempFolder folder;
  folder.write("a", "hello");
  folder.write("empty", "");
  MappedFile first = std::move(MappedFile::open(folder / "a")).value();
  MappedFile second = std::move(first);
  EXPECT_TRUE(first.bytes().empty());
  MappedFile third;
  third = std::move(second);
  EXPECT_EQ(third.bytes().size(), 5u);
  EXPECT_EQ(static_cast<char>(third.bytes()[4]), 'o');
  EXPECT_TRUE(MappedFile::open(folder / "empty")->bytes().empty());
}

TEST(Io, an_address_in_a_map_tells_the_file) {
  const TempFolder folder;
  folder.write("a", "0123456789");
  folder.write("b", "0123456789");
  const MappedFile a = MappedFile::open(folder / "a").value();
  const std::byte* inside_b = nullptr;
  {
    const MappedFile b = MappedFile::open(folder / "b").value();
    inside_b = b.bytes().data() + 9;
    EXPECT_EQ(std::string(mapped_file_at(a.bytes().data())), folder / "a");
    EXPECT_EQ(std::string(mapped_file_at(inside_b)), folder / "b");
    EXPECT_EQ(mapped_file_at(inside_b + 1), nullptr);
  }
  EXPECT_EQ(mapped_file_at(inside_b), nullptr);
  EXPECT_EQ(mapped_file_at(nullptr), nullptr);
}

TEST(Io, more_maps_than_the_table_holds_are_maps_all_the_same) {
  const TempFolder folder;
  folder.write("a", "0123456789");
  std::vector<MappedFile> maps;
  for (int i = 0; i < 1100; ++i) maps.push_back(MappedFile::open(folder / "a").value());
  EXPECT_EQ(maps.back().bytes().size(), 10u);
  EXPECT_EQ(mapped_file_at(maps.back().bytes().data()), nullptr);
  maps.clear();
  const MappedFile again = MappedFile::open(folder / "a").value();
  EXPECT_NE(mapped_file_at(again.bytes().data()), nullptr);
}

TEST(AtomicFile, nothing_is_seen_before_commit_and_everything_after) {
  const TempFolder folder;
  folder.write("a", "old");
  Result<AtomicFile> file = AtomicFile::create(folder / "a");
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->write("new ").ok());
  ASSERT_TRUE(file->write("text").ok());
  EXPECT_EQ(file->written_bytes(), 8u);
  EXPECT_EQ(text_of(folder / "a"), "old");
  ASSERT_TRUE(file->commit().ok());
  EXPECT_EQ(text_of(folder / "a"), "new text");
  EXPECT_EQ(folder.n_files(), 1u);
}

TEST(AtomicFile, without_commit_nothing_is_left) {
  const TempFolder folder;
  folder.write("a", "old");
  {
    AtomicFile file = std::move(AtomicFile::create(folder / "a")).value();
    ASSERT_TRUE(file.write("new").ok());
    EXPECT_EQ(folder.n_files(), 2u);
    const AtomicFile moved = std::move(file);
  }
  EXPECT_EQ(text_of(folder / "a"), "old");
  EXPECT_EQ(folder.n_files(), 1u);
}

TEST(AtomicFile, a_private_file_is_for_its_owner_only) {
  const TempFolder folder;
  AtomicFile file = std::move(AtomicFile::create(folder / "a", true)).value();
  ASSERT_TRUE(file.commit().ok());
  struct stat info {};
  ASSERT_EQ(::stat((folder / "a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(AtomicFile, a_folder_that_is_not_there_is_named) {
  const TempFolder folder;
  const Result<AtomicFile> file = AtomicFile::create(folder / "none/a");
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(file.error().in, HasSubstr("none/a"));
}

TEST(AtomicFile, a_link_in_the_place_of_the_partial_file_is_not_followed) {
  const TempFolder folder;
  folder.write("victim", "precious");
  fs::create_symlink(folder / "victim", folder / ("a.partial-" + std::to_string(::getpid())));
  EXPECT_FALSE(AtomicFile::create(folder / "a").ok());
  EXPECT_EQ(text_of(folder / "victim"), "precious");
}

// A disk that is full after n bytes: the limit on file sizes, without the signal that comes with it.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(AtomicFile, a_disk_that_fills_up_leaves_the_old_file_and_no_other) {
  const TempFolder folder;
  folder.write("a", "old");
  {
    const FullDisk disk(1000);
    AtomicFile file = std::move(AtomicFile::create(folder / "a")).value();
    ASSERT_TRUE(file.write(std::string(600, 'x')).ok());
    const Result<void> beyond = file.write(std::string(600, 'x'));
    ASSERT_FALSE(beyond.ok());
    EXPECT_EQ(beyond.error().code, ErrorCode::kIo);
    EXPECT_EQ(beyond.error().in, (folder / "a").string());
  }
  EXPECT_EQ(text_of(folder / "a"), "old");
  EXPECT_EQ(folder.n_files(), 1u);
}

}  // namespace
}  // namespace hadal
