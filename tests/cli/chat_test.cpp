// `hadal run` as a chat: commands, saved conversations, Ctrl-C at a pseudo-terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>

#include "base/io.h"
#include "cli/program.h"
#include "testing/pseudo_terminal.h"

namespace hadal {
namespace {

using test::Finished;
using test::PseudoTerminal;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Lines through a pipe: the same chat without an editor.
Finished chat(const TempFolder& folder, const std::string& lines) {
  return run_hadal(folder, {"run", "-i", "--temperature", "0", "-v"}, lines);
}

constexpr const char* kCapital = "What is the capital of France?\n";
constexpr const char* kSum = "What is 27 + 35?\n";

TEST(Chat, only_answers_are_on_stdout) {
  const TempFolder folder;
  const Finished finished = chat(folder, std::string(kCapital) + "/show\n/help\n" + kSum);
  EXPECT_EQ(finished.out, "The capital of France is Paris.\n27 + 35 = 62.\n");
  EXPECT_THAT(finished.err, AllOf(HasSubstr("temperature"), HasSubstr("/resume NAME")));
  EXPECT_EQ(finished.exit_code, 0);
}

TEST(Chat, a_second_turn_does_not_read_the_first_again) {
  const TempFolder folder;
  EXPECT_THAT(chat(folder, std::string(kCapital) + kSum).err, HasSubstr("cached)"));
}

TEST(Chat, retry_and_undo_take_the_last_answer_back) {
  const TempFolder folder;
  const Finished finished = chat(folder, std::string(kCapital) + kSum + "/undo\n/retry\n/undo\n/undo\n");
  EXPECT_EQ(finished.out, "The capital of France is Paris.\n27 + 35 = 62.\nThe capital of France is Paris.\n");
  EXPECT_THAT(finished.err, HasSubstr("There is no message yet."));
}

TEST(Chat, clear_forgets_everything) {
  const TempFolder folder;
  const Finished finished = chat(folder, std::string(kSum) + "/clear\n" + kCapital);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("forgotten"), HasSubstr("13 tokens read"), Not(HasSubstr("cached)"))));
}

TEST(Chat, a_file_stands_in_front_of_the_next_message) {
  const TempFolder folder;
  folder.write("question.txt", "What is the capital of France?");
  const Finished finished = chat(folder, "/file question.txt\nAnswer.\n");
  EXPECT_THAT(finished.err, HasSubstr("30 B will stand in front"));
  EXPECT_FALSE(finished.out.empty());
}

TEST(Chat, a_setting_changes_the_next_answer) {
  const TempFolder folder;
  EXPECT_EQ(chat(folder, std::string("/set max_tokens 2\n") + kCapital).out, "The capital\n");
}

TEST(Chat, an_error_does_not_end_it) {
  const TempFolder folder;
  const Finished finished =
      chat(folder, std::string("/bogus\n/set top_p 7\n/file absent\n/resume absent\n") + kCapital);
  EXPECT_EQ(finished.out, "The capital of France is Paris.\n");
  EXPECT_THAT(finished.err, AllOf(HasSubstr("no such command"), HasSubstr("top_p"), HasSubstr("no such conversation")));
  EXPECT_EQ(finished.exit_code, 0);
}

TEST(Chat, a_message_longer_than_the_context_leaves_the_conversation_as_it_was) {
  const TempFolder folder;
  const Finished finished =
      run_hadal(folder, {"run", "-i", "--temperature", "0", "-c", "64"}, std::string(2000, 'x') + "\n" + kCapital);
  EXPECT_THAT(finished.err, HasSubstr("longer than the context"));
  EXPECT_EQ(finished.out, "The capital of France is Paris.\n");
}

TEST(SavedConversation, goes_on_as_if_it_had_never_stopped) {
  const TempFolder folder;
  const Finished whole = chat(folder, std::string(kCapital) + "And of Spain?\n");
  const Finished saved = chat(folder, std::string(kCapital) + "/save trip\n");
  const Finished resumed = chat(folder, "/resume trip\nAnd of Spain?\n");
  EXPECT_EQ(saved.out + resumed.out, whole.out);
  EXPECT_THAT(resumed.err, AllOf(HasSubstr("2 messages are back"), HasSubstr("cached)")));
}

TEST(SavedConversation, is_for_its_owner_alone) {
  const TempFolder folder;
  chat(folder, std::string(kCapital) + "/save trip\n");
  for (const char* name : {"trip.json", "trip.state"}) {
    struct stat status {};
    ASSERT_EQ(::stat((folder / "state" / "hadal" / "conversations" / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777u, 0600u) << name;
  }
}

TEST(SavedConversation, is_read_again_when_its_state_is_damaged) {
  const TempFolder folder;
  const Finished whole = chat(folder, std::string(kCapital) + kSum);
  chat(folder, std::string(kCapital) + "/save trip\n");
  std::ofstream(folder / "state" / "hadal" / "conversations" / "trip.state") << "nonsense";
  const Finished resumed = chat(folder, std::string("/resume trip\n") + kSum);
  EXPECT_THAT(resumed.err, HasSubstr("will be read again"));
  EXPECT_EQ("The capital of France is Paris.\n" + resumed.out, whole.out);
}

TEST(SavedConversation, that_is_damaged_is_refused_and_the_chat_goes_on) {
  const TempFolder folder;
  chat(folder, std::string(kCapital) + "/save trip\n");
  const std::string before_tools = R"({"version": 1, "system": "", "think": "off", "messages": [], "tools": )";
  const std::vector<std::string> damaged = {"", "{\"version\": 1}", "{\"version\": 2}", before_tools + "\"x\"}",
                                            before_tools + "[{}]}"};
  for (const std::string& text : damaged) {
    std::ofstream(folder / "state" / "hadal" / "conversations" / "trip.json") << text;
    const Finished resumed = chat(folder, std::string("/resume trip\n") + kCapital);
    EXPECT_THAT(resumed.err, AllOf(HasSubstr("error: "), HasSubstr("trip.json"))) << text;
    EXPECT_EQ(resumed.out, "The capital of France is Paris.\n") << text;
  }
}

std::unique_ptr<PseudoTerminal> at_a_terminal(const TempFolder& folder, const std::vector<std::string>& arguments) {
  return std::make_unique<PseudoTerminal>([&](int) -> int { test::become_hadal(folder, arguments); });
}

constexpr const char* kCtrlC = "\003";
constexpr const char* kCtrlD = "\004";

// Greedy plain text runs until the context is full: thousands of tokens.
const std::vector<std::string> kEndless = {"run",           "--raw", "-p",           "The sea",
                                           "--temperature", "0",     "--logit-bias", "1=-100"};

TEST(AtATerminal, ctrl_c_stops_one_answer_with_130) {
  const TempFolder folder;
  const std::unique_ptr<PseudoTerminal> terminal = at_a_terminal(folder, kEndless);
  ASSERT_TRUE(terminal->shows(" "));
  terminal->type(kCtrlC);
  EXPECT_EQ(terminal->exit_status(), 130) << terminal->shown();
  EXPECT_THAT(terminal->shown(), HasSubstr("tokens read"));
}

TEST(AtATerminal, ctrl_c_stops_the_answer_and_not_the_chat) {
  const TempFolder folder;
  const std::unique_ptr<PseudoTerminal> terminal =
      at_a_terminal(folder, {"run", "--temperature", "0", "--logit-bias", "1=-100"});
  ASSERT_TRUE(terminal->shows(">>> ")) << terminal->shown();
  terminal->type("What is the capital of France?\r");
  ASSERT_TRUE(terminal->shows("Paris")) << terminal->shown();
  terminal->type(kCtrlC);
  ASSERT_TRUE(terminal->shows("stopped")) << terminal->shown();
  ASSERT_TRUE(terminal->shows(">>> ")) << terminal->shown();
  terminal->type("/quit\r");
  EXPECT_EQ(terminal->exit_status(), 0) << terminal->shown();
}

// The slowest kernels: whatever the machine, the prompt takes longer than the half second without a bar.
TEST(AtATerminal, a_long_prompt_shows_how_far_it_is_and_can_be_stopped) {
  const TempFolder folder;
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "word " + std::to_string(i) + " ";
  folder.write("long.txt", text);
  const std::unique_ptr<PseudoTerminal> terminal = at_a_terminal(
      folder,
      {"run", "-f", "long.txt", "-c", "65536", "--mode", "exact", "--cpu", "portable", "-t", "1", "--chunk", "16"});
  ASSERT_TRUE(terminal->shows("\rreading the prompt  [")) << terminal->shown();
  terminal->type(kCtrlC);
  EXPECT_EQ(terminal->exit_status(), 130) << terminal->shown();
  EXPECT_THAT(terminal->shown(), HasSubstr("\r\033[K")) << "the bar is taken away";
}

TEST(AtATerminal, a_model_that_becomes_shorter_is_named) {
  const TempFolder folder;
  fs::copy(std::string(HADAL_SOURCE_DIR) + "/models/v4-tiny", folder / "model", fs::copy_options::recursive);
  const std::unique_ptr<PseudoTerminal> terminal = at_a_terminal(folder, {"run", "model"});
  ASSERT_TRUE(terminal->shows(">>> ")) << terminal->shown();
  fs::resize_file(folder / "model" / "model.safetensors", 4096);
  terminal->type("What is the capital of France?\r");
  EXPECT_TRUE(terminal->shows("error: a file in use became shorter")) << terminal->shown();
  EXPECT_TRUE(terminal->shows("model/model.safetensors")) << terminal->shown();
  EXPECT_EQ(terminal->exit_status(), 1);
}

TEST(AtATerminal, ctrl_d_leaves) {
  const TempFolder folder;
  const std::unique_ptr<PseudoTerminal> terminal = at_a_terminal(folder, {"run"});
  ASSERT_TRUE(terminal->shows(">>> ")) << terminal->shown();
  terminal->type(kCtrlD);
  EXPECT_EQ(terminal->exit_status(), 0);
}

TEST(AtATerminal, reasoning_is_dimmed_and_the_answer_is_not) {
  const TempFolder folder;
  const std::unique_ptr<PseudoTerminal> terminal =
      at_a_terminal(folder, {"run", "--temperature", "0", "--think", "on", "-p",
                             "Ada has 43 marbles and gives away 6. How many marbles are left?"});
  EXPECT_TRUE(terminal->shows("\033[2mThis is a subtraction")) << terminal->shown();
  EXPECT_TRUE(terminal->shows("\033[0m\r\n\r\n43 - 6 = 37.")) << terminal->shown();
  EXPECT_TRUE(terminal->shows("tokens/s")) << terminal->shown();
}

}  // namespace
}  // namespace hadal
