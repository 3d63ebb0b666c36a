// hadal pull, list and rm as a user sees them, killed and interrupted, and what commands make of a pulled model's name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <algorithm>

#include "base/io.h"
#include "cli/json_output.h"
#include "cli/program.h"
#include "testing/fake_hub.h"
#include "testing/pseudo_terminal.h"

namespace hadal {
namespace {

using test::FakeHub;
using test::Finished;
using test::run_hadal;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr size_t kBlockBytes = 8 << 20;  // src/hub/partial_file.h
constexpr char kToken[] = "hf_TheSecretOfThisTest";

// The embedded model, as a hub would have it.
std::map<std::string, std::string> tiny_model() {
  std::map<std::string, std::string> files;
  const fs::path folder = std::string(HADAL_SOURCE_DIR) + "/models/v4-tiny";
  for (const char* name : {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
                           "model.safetensors", "model.safetensors.index.json"}) {
    files[name] = read_file(folder / name, 64 << 20).value();
  }
  return files;
}

// What a pull needs of a model: nothing in it is opened.
std::map<std::string, std::string> bytes_of_a_model(size_t shard_bytes) {
  return {{"config.json", "{}"}, {"model.safetensors", std::string(shard_bytes, 'w')}};
}

bool is_shard(const FakeHub::Request& request) {
  return request.path.ends_with("/model.safetensors");
}

std::vector<std::string> pull_from(const FakeHub& hub) {
  return {"pull", "owner/model", "--hub", hub.url()};
}

fs::path model_folder(const TempFolder& folder) {
  return folder / "data/hadal/models/owner/model" / FakeHub::kCommit;
}

// Blocks of the shard that the journal says are here.
ptrdiff_t n_blocks_noted(const TempFolder& folder) {
  const Result<std::string> text = read_file(model_folder(folder) / "model.safetensors.part.blocks", 1 << 20);
  return text.ok() ? std::count(text->begin(), text->end(), '\n') - 1 : 0;  // but for the first line
}

// Starts a pull, sends the signal once so many blocks are here, and says how it ended.
int pull_and_signal(const TempFolder& folder, const FakeHub& hub, int n_blocks, int signal) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int out = ::open((folder / "stderr.txt").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    test::become_hadal(folder, pull_from(hub));
  }
  for (int i = 0; i < 2000 && n_blocks_noted(folder) < n_blocks; ++i) ::poll(nullptr, 0, 10);
  EXPECT_EQ(n_blocks_noted(folder), n_blocks);
  ::kill(pid, signal);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(PullCommand, makes_a_model_that_runs_by_its_name) {
  const TempFolder folder;
  const FakeHub hub(tiny_model());
  const Finished pulled = run_hadal(folder, pull_from(hub));
  ASSERT_EQ(pulled.exit_code, 0) << pulled.err;
  EXPECT_THAT(pulled.out, AllOf(HasSubstr("owner/model at 0123456789ab (main): 24."), HasSubstr("/owner/model/0123")));
  EXPECT_EQ(pulled.err, "") << "no progress in a pipe";
  const Finished run =
      run_hadal(folder, {"run", "owner/model", "-p", "What is the capital of France?", "--temperature", "0"});
  EXPECT_EQ(run.out, "The capital of France is Paris.\n") << run.err;
  EXPECT_EQ(run_hadal(folder, {"inspect", "owner/model"}).exit_code, 0);
  EXPECT_EQ(run_hadal(folder, {"plan", "owner/model@0123456"}).exit_code, 0);
}

TEST(PullCommand, says_what_it_would_fetch_and_what_programs_want_to_know) {
  const TempFolder folder;
  const FakeHub hub(bytes_of_a_model(1000));
  std::vector<std::string> dry = pull_from(hub);
  dry.push_back("--dry-run");
  EXPECT_EQ(run_hadal(folder, dry).out, "owner/model at 0123456789ab (main): 1002 B in 2 files\n");
  EXPECT_FALSE(fs::exists(folder / "data"));
  std::vector<std::string> as_json = pull_from(hub);
  as_json.push_back("--json");
  const Finished pulled = run_hadal(folder, as_json);
  const json::Value value = json::parse(pulled.out, "stdout").value();
  EXPECT_EQ(value.find("commit")->as_string(), FakeHub::kCommit);
  EXPECT_EQ(value.find("fetched_bytes")->as_int(), 1002);
  EXPECT_TRUE(value.find("is_complete")->as_bool());
  EXPECT_EQ(pulled.err, "");
}

TEST(PullCommand, that_was_killed_goes_on_where_it_was) {
  const TempFolder folder;
  const auto files = bytes_of_a_model(10 * kBlockBytes);  // requests of 8 and 2 blocks
  {
    const FakeHub hub(files, [](const auto& request, FakeHub::Answer& answer) {
      if (!is_shard(request)) return;
      answer.sent_bytes = kBlockBytes + 1000;
      answer.stalls = true;
    });
    EXPECT_EQ(pull_and_signal(folder, hub, 2, SIGKILL), -SIGKILL);
  }
  EXPECT_FALSE(fs::exists(model_folder(folder) / "model.safetensors"));
  const Finished run = run_hadal(folder, {"run", "owner/model", "-p", "Hello"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, AllOf(HasSubstr("not here in full"), HasSubstr("hadal pull owner/model"), HasSubstr("MiB")));
  const FakeHub hub(files);
  const Finished again = run_hadal(folder, pull_from(hub));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(hub.sent_file_bytes(), 8 * kBlockBytes) << "two blocks were here, and so was the config";
  EXPECT_EQ(read_file(model_folder(folder) / "model.safetensors", 100 << 20).value(), files.at("model.safetensors"));
  EXPECT_FALSE(fs::exists(model_folder(folder) / "model.safetensors.part.blocks"));
}

TEST(PullCommand, that_was_interrupted_says_that_it_can_go_on) {
  const TempFolder folder;
  const auto files = bytes_of_a_model(4 * kBlockBytes);
  {
    const FakeHub hub(files, [](const auto& request, FakeHub::Answer& answer) {
      if (!is_shard(request)) return;
      answer.sent_bytes = 3 * kBlockBytes;
      answer.stalls = true;
    });
    EXPECT_EQ(pull_and_signal(folder, hub, 3, SIGINT), 130);
  }
  EXPECT_THAT(read_file(folder / "stderr.txt", 1 << 20).value(), HasSubstr("the same command goes on from there"));
  const FakeHub hub(files);
  ASSERT_EQ(run_hadal(folder, pull_from(hub)).exit_code, 0);
  EXPECT_EQ(hub.sent_file_bytes(), kBlockBytes);
}

TEST(PullCommand, never_shows_the_token) {
  const TempFolder folder;
  folder.write("token", std::string(kToken) + "\n");
  for (const int status : {200, 401, 429}) {
    const FakeHub hub(bytes_of_a_model(100), [&](const auto&, FakeHub::Answer& answer) {
      if (status != 200) answer = {.status = status, .headers = {}, .body = ""};
    });
    for (const char* form : {"--json", "--dry-run"}) {
      std::vector<std::string> arguments = pull_from(hub);
      arguments.insert(arguments.end(), {"--token-file", "token", "--tries", "1", form});
      const Finished finished = run_hadal(folder, arguments);
      EXPECT_EQ(finished.exit_code, status == 200 ? 0 : 1);
      EXPECT_THAT(finished.out + finished.err, Not(HasSubstr("TheSecret"))) << status;
      EXPECT_EQ(hub.requests().back().authorization, std::string("Bearer ") + kToken);
    }
  }
  for (const auto& entry : fs::recursive_directory_iterator(folder / "data")) {
    if (!entry.is_regular_file()) continue;
    EXPECT_THAT(read_file(entry.path(), 1 << 20).value(), Not(HasSubstr("TheSecret"))) << entry.path();
  }
}

TEST(PullCommand, refuses_a_token_that_would_be_another_header) {
  const TempFolder folder;
  const FakeHub hub(bytes_of_a_model(100));
  for (const char* token : {"abc\r\nX-Evil: 1", "a b", ""}) {
    folder.write("token", token);
    std::vector<std::string> arguments = pull_from(hub);
    arguments.insert(arguments.end(), {"--token-file", "token"});
    EXPECT_THAT(run_hadal(folder, arguments).err, HasSubstr("this is no token")) << token;
  }
  EXPECT_TRUE(hub.requests().empty());
}

TEST(PullCommand, keeps_the_token_of_hugging_face_from_other_hubs) {
  const TempFolder folder;
  const FakeHub hub(bytes_of_a_model(100));
  ::setenv("HF_TOKEN", kToken, 1);
  run_hadal(folder, pull_from(hub));
  ::unsetenv("HF_TOKEN");
  ASSERT_FALSE(hub.requests().empty());
  for (const auto& request : hub.requests()) EXPECT_EQ(request.authorization, "");
}

TEST(PullCommand, refuses_hubs_in_the_clear) {
  const TempFolder folder;
  const Finished finished = run_hadal(folder, {"pull", "a/b", "--hub", "http://hub.example"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("http:// to another machine"));
}

TEST(PullCommand, on_a_full_disk_says_so) {
  const TempFolder folder;
  const FakeHub hub(bytes_of_a_model(200'000));
  const Finished limited = test::run_hadal_within({.file_bytes = 64 << 10}, folder, pull_from(hub));
  EXPECT_EQ(limited.exit_code, 1);
  EXPECT_THAT(limited.err, HasSubstr("error: not enough space on the disk"));
  EXPECT_FALSE(fs::exists(model_folder(folder) / "model.safetensors"));
  EXPECT_EQ(run_hadal(folder, pull_from(hub)).exit_code, 0) << "and goes on when there is space";
}

TEST(PullCommand, looks_at_a_real_disk_before_it_fetches) {
  const TempFolder folder;
  fs::create_directory(folder / "data");
  const std::string disk = folder / "data";
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "cannot mount: not root";
  const FakeHub hub(bytes_of_a_model(100));
  const Finished finished = run_hadal(folder, pull_from(hub));
  ::umount(disk.c_str());
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("not enough space on the disk"), HasSubstr("HADAL_MODELS")));
  EXPECT_EQ(hub.sent_file_bytes(), 0u);
}

TEST(ModelNames, that_are_not_here_are_explained_and_nothing_is_asked) {
  const TempFolder folder;
  const std::vector<std::string> commands[] = {
      {"run", "owner/model", "-p", "Hello"}, {"plan", "owner/model"}, {"inspect", "owner/model"}};
  for (const std::vector<std::string>& command : commands) {
    const Finished finished = run_hadal(folder, command);
    EXPECT_EQ(finished.exit_code, 1) << command[0];
    EXPECT_THAT(finished.err, AllOf(HasSubstr("no such model"), HasSubstr("`hadal pull owner/model` fetches it")));
  }
}

TEST(ListAndRm, show_and_remove_what_was_pulled) {
  const TempFolder folder;
  EXPECT_THAT(run_hadal(folder, {"list"}).out, HasSubstr("No models in"));
  const FakeHub hub(bytes_of_a_model(2046));
  ASSERT_EQ(run_hadal(folder, pull_from(hub)).exit_code, 0);
  const Finished list = run_hadal(folder, {"list"});
  EXPECT_THAT(list.out, AllOf(HasSubstr("owner/model"), HasSubstr("2.0 KiB"), HasSubstr("0123456789ab"),
                              HasSubstr("main"), HasSubstr("20")));
  const json::Value value = json::parse(run_hadal(folder, {"list", "--json"}).out, "stdout").value();
  ASSERT_EQ(value.find("models")->items().size(), 1u);
  EXPECT_EQ(value.find("models")->items()[0].find("bytes")->as_int(), 2048);
  const Finished unasked = run_hadal(folder, {"rm", "owner/model"});
  EXPECT_EQ(unasked.exit_code, 1);
  EXPECT_THAT(unasked.err, HasSubstr("--yes"));
  EXPECT_TRUE(fs::exists(model_folder(folder)));
  EXPECT_EQ(run_hadal(folder, {"rm", "owner/model", "--yes"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(folder / "data/hadal/models/owner"));
  EXPECT_EQ(run_hadal(folder, {"rm", "owner/model", "--yes"}).exit_code, 1);
}

TEST(ListAndRm, ask_at_a_terminal) {
  const TempFolder folder;
  const FakeHub hub(bytes_of_a_model(100));
  ASSERT_EQ(run_hadal(folder, pull_from(hub)).exit_code, 0);
  for (const bool is_wanted : {false, true}) {
    test::PseudoTerminal terminal([&](int) -> int { test::become_hadal(folder, {"rm", "owner/model"}); });
    EXPECT_TRUE(terminal.shows("Remove owner/model at 0123456789ab (102 B)? [y/N] "));
    terminal.type(is_wanted ? "y\n" : "\n");
    EXPECT_EQ(terminal.exit_status(), is_wanted ? 0 : 1);
    EXPECT_EQ(fs::exists(model_folder(folder)), !is_wanted);
  }
}

}  // namespace
}  // namespace hadal
