// What the world refuses: disks that are full, memory that is not there. Each ends with exit code 1 and a clear error,
// before anything is allocated, and without a half-written file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cstdlib>
#include <set>

#include "base/io.h"
#include "cli/program.h"

namespace hadal {
namespace {

using test::Finished;
using test::ProgramLimits;
using test::run_hadal_within;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kMiB = uint64_t{1} << 20;

// A file may not grow beyond this: the program sees what it sees on a full disk, but for the word. Wide enough for what
// the test itself has the program write to stdout and stderr.
constexpr ProgramLimits kSmallFiles{.file_bytes = 64 << 10};

// Paths below the folder, but for the program's output.
std::set<std::string> files_below(const TempFolder& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    const std::string name = fs::relative(entry.path(), folder.path());
    if (name != "stdout.txt" && name != "stderr.txt") names.insert(name);
  }
  return names;
}

TEST(FullDisk, synth_takes_back_what_it_wrote) {
  const TempFolder folder;
  const Finished finished = run_hadal_within(kSmallFiles, folder, {"synth", "out", "--like", "v4-tiny"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("error: cannot write"), HasSubstr("out/model-00001-of-00001.safetensors")));
  EXPECT_THAT(files_below(folder), IsEmpty());
}

TEST(FullDisk, manual_leaves_no_half_page) {
  const TempFolder folder;
  const Finished finished = run_hadal_within({.file_bytes = 1000}, folder, {"manual", "share"});
  EXPECT_EQ(finished.exit_code, 1);
  for (const std::string& name : files_below(folder)) EXPECT_FALSE(fs::is_regular_file(folder / name)) << name;
}

TEST(FullDisk, a_conversation_that_cannot_be_saved_leaves_the_one_before) {
  const TempFolder folder;
  const std::vector<std::string> chat = {"run", "-i", "--temperature", "0"};
  run_hadal(folder, chat, "What is 27 + 35?\n/save sums\n");
  const auto conversations = folder / "state" / "hadal" / "conversations";
  const std::string before = read_file(conversations / "sums.json", kMiB).value();
  const std::set<std::string> files = files_below(folder);
  const Finished finished = run_hadal_within(
      kSmallFiles, folder, chat, "What is the capital of France?\n/save sums\n/save other\nWhat is 27 + 35?\n");
  EXPECT_THAT(finished.err, AllOf(HasSubstr("error: cannot write"), HasSubstr("sums.state")));
  EXPECT_EQ(finished.out, "The capital of France is Paris.\n27 + 35 = 62.\n") << "the chat goes on";
  EXPECT_EQ(files_below(folder), files);
  EXPECT_EQ(read_file(conversations / "sums.json", kMiB).value(), before);
}

// The state fits, the messages do not: neither is left.
TEST(FullDisk, messages_and_state_are_saved_together_or_not_at_all) {
  const TempFolder folder;
  const std::string long_message(50'000, 'a');
  const Finished finished = run_hadal_within({.file_bytes = 40'000}, folder, {"run", "-i", "-c", "16"},
                                             "/system " + long_message + "\n/save long\n");
  EXPECT_THAT(finished.err, HasSubstr("error: cannot write"));
  for (const std::string& name : files_below(folder)) EXPECT_FALSE(fs::is_regular_file(folder / name)) << name;
}

// Everything that prints a report, into a device that takes nothing.
TEST(FullDisk, a_report_that_cannot_be_written_is_a_failure) {
  const std::string source = HADAL_SOURCE_DIR;
  const std::string random = source + "/tests/data/v4-random";
  const TempFolder folder;
  folder.write("text", "The quick brown fox.");
  for (const std::string& command :
       {std::string("plan"), std::string("plan --json"), std::string("inspect --tensors"),
        std::string("inspect --tensors --json"), "compare " + random + " --set p0",
        "compare --json " + random + " --set p0", "eval " + source + "/models/v4-tiny text --json",
        std::string("completions zsh"), std::string("--help"), std::string("run --help"), std::string("--version")}) {
    const std::string line = "cd '" + folder.path().string() + "' && '" + HADAL_BINARY + "' " + command;
    ASSERT_EQ(std::system((line + " >/dev/null 2>&1").c_str()), 0) << command;
    const int status = std::system((line + " >/dev/full 2>errors").c_str());
    EXPECT_EQ(WEXITSTATUS(status), 1) << command;
  }
}

TEST(FullDisk, a_file_never_becomes_a_standard_output_that_was_closed) {
  const TempFolder folder;
  const std::string line = "cd '" + folder.path().string() + "' && '" + HADAL_BINARY + "' synth out --like v4-tiny";
  EXPECT_EQ(WEXITSTATUS(std::system((line + " >&- 2>&-").c_str())), 1) << "nobody got the report";
  const std::string start = read_file(folder / "out" / "config.json", kMiB).value().substr(0, 1);
  EXPECT_EQ(start, "{");
}

// A real file system without space, where the test may mount one.
TEST(FullDisk, of_a_real_disk_is_called_by_its_name) {
  const TempFolder folder;
  fs::create_directory(folder / "disk");
  const std::string disk = folder / "disk";
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=256k") != 0) GTEST_SKIP() << "cannot mount: not root";
  const Finished synth = run_hadal(folder, {"synth", "disk/out", "--like", "v4-tiny"});
  const bool is_empty = fs::is_empty(disk);
  ::umount(disk.c_str());
  EXPECT_EQ(synth.exit_code, 1);
  EXPECT_THAT(synth.err, HasSubstr("not enough space on the disk"));
  EXPECT_TRUE(is_empty);
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kIsSanitized = true;  // shadow memory is memory of its own, terabytes of it
#else
constexpr bool kIsSanitized = false;
#endif

// 52 MiB are the plan of 4,096 tokens; a context of 65,536 needs some 30 more.
TEST(LittleMemory, a_context_that_does_not_fit_is_refused_with_the_plans_figures) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitized program needs more than any limit";
  const TempFolder folder;
  const Finished finished =
      run_hadal_within({.data_bytes = 40 * kMiB}, folder, {"run", "-p", "Hello", "-c", "65536", "-t", "1"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("error: not enough memory"), HasSubstr("MiB of RAM"),
                                  HasSubstr("40.0 MiB allowed (ulimit -d)"), HasSubstr("--context")));
  EXPECT_THAT(finished.out, IsEmpty());
  EXPECT_LT(finished.peak_rss_bytes, 40 * kMiB) << "nothing of it was allocated";
}

TEST(LittleMemory, that_runs_out_before_there_is_a_plan_is_an_error_and_no_crash) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitized program needs more than any limit";
  const TempFolder folder;
  for (const uint64_t data_mib : std::initializer_list<uint64_t>{4, 6, 8, 12, 16}) {
    const Finished finished = run_hadal_within({.data_bytes = data_mib * kMiB}, folder, {"run", "-p", "Hello"});
    EXPECT_EQ(finished.exit_code, 1) << data_mib << finished.err;
    EXPECT_THAT(finished.err, HasSubstr("error: ")) << data_mib;
  }
}

// "52.6 MiB" behind "total" in the table of -v.
double planned_bytes(const std::string& table) {
  const size_t at = table.find("\ntotal");
  EXPECT_NE(at, std::string::npos) << table;
  const size_t digits = table.find_first_of("0123456789", at);
  EXPECT_THAT(table.substr(digits), ::testing::ContainsRegex("^[0-9.]+ MiB"));
  return std::strtod(table.c_str() + digits, nullptr) * static_cast<double>(kMiB);
}

// Promise 4, with all weights and the whole context in use.
TEST(PeakMemorySlow, stays_within_a_twentieth_of_the_printed_plan) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer's own memory is in no plan";
  const TempFolder folder;
  std::string text;
  for (int i = 0; i < 640; ++i) text += "Word " + std::to_string(1000 + i) + " ";
  folder.write("long.txt", text);
  for (const std::vector<std::string>& prompt : {std::vector<std::string>{"-p", "What is the capital of France?"},
                                                 std::vector<std::string>{"--raw", "-f", "long.txt", "-n", "20"}}) {
    std::vector<std::string> arguments = {"run", "-v", "--temperature", "0"};
    arguments.insert(arguments.end(), prompt.begin(), prompt.end());
    const Finished finished = run_hadal(folder, arguments);
    ASSERT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_LE(static_cast<double>(finished.peak_rss_bytes), 1.05 * planned_bytes(finished.err)) << finished.err;
  }
}

}  // namespace
}  // namespace hadal
