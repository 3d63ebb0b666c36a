#include "terminal/chat_commands.h"

#include <gtest/gtest.h>

#include <string>

namespace hadal {
namespace {

using Kind = ChatCommand::Kind;
using Think = ChatCommand::Think;

ChatCommand parsed(std::string_view message) {
  EXPECT_TRUE(is_chat_command(message)) << message;
  return parse_chat_command(message).value();
}

TEST(ChatCommands, words_without_arguments_are_recognised) {
  EXPECT_EQ(parsed("/help").kind, Kind::kHelp);
  EXPECT_EQ(parsed("/show").kind, Kind::kShow);
  EXPECT_EQ(parsed("/clear").kind, Kind::kClear);
  EXPECT_EQ(parsed("/retry").kind, Kind::kRetry);
  EXPECT_EQ(parsed("/undo").kind, Kind::kUndo);
  EXPECT_EQ(parsed("/quit  ").kind, Kind::kQuit);
}

TEST(ChatCommands, what_users_of_other_programs_type_works) {
  EXPECT_EQ(parsed("/?").kind, Kind::kHelp);
  EXPECT_EQ(parsed("/bye").kind, Kind::kQuit);
  EXPECT_EQ(parsed("/new").kind, Kind::kClear);
  EXPECT_EQ(parsed("/regen").kind, Kind::kRetry);
}

TEST(ChatCommands, think_takes_one_of_four_words) {
  EXPECT_EQ(parsed("/think off").think, Think::kOff);
  EXPECT_EQ(parsed("/think on").think, Think::kOn);
  EXPECT_EQ(parsed("/think high").think, Think::kHigh);
  EXPECT_EQ(parsed("/think   max").think, Think::kMax);
  EXPECT_EQ(parsed("/think low").think, Think::kLow);
  EXPECT_EQ(parsed("/think low").effort_level, 0);
  EXPECT_EQ(parsed("/think 30").think, Think::kOn);
  EXPECT_EQ(parsed("/think 30").effort_level, 30);
  EXPECT_EQ(parsed("/think 100").effort_level, 100);
  for (const std::string_view wrong : {"/think 0", "/think 101", "/think -1", "/think 1.5", "/think 5x", "/think +5"}) {
    EXPECT_FALSE(parse_chat_command(wrong).ok()) << wrong;
  }
}

TEST(ChatCommands, the_system_prompt_keeps_its_lines_and_may_be_empty) {
  EXPECT_EQ(parsed("/system You are\n  terse. ").text, "You are\n  terse.");
  EXPECT_EQ(parsed("/system").text, "");
}

TEST(ChatCommands, set_splits_name_and_value) {
  const ChatCommand command = parsed("/set stop  two words");
  EXPECT_EQ(command.kind, Kind::kSet);
  EXPECT_EQ(command.name, "stop");
  EXPECT_EQ(command.text, "two words");
}

TEST(ChatCommands, a_path_may_hold_spaces_and_be_quoted) {
  EXPECT_EQ(parsed("/file notes of today.txt").text, "notes of today.txt");
  EXPECT_EQ(parsed("/file \"/a b/c.txt\"").text, "/a b/c.txt");
  EXPECT_EQ(parsed("/file '/a b/c.txt'").text, "/a b/c.txt");
}

TEST(ChatCommands, conversations_have_names_that_cannot_leave_their_folder) {
  EXPECT_EQ(parsed("/save trip-to.Rome_2").name, "trip-to.Rome_2");
  EXPECT_EQ(parsed("/resume a").name, "a");
  for (const char* bad : {"..", ".hidden", "a/b", "../a", "-x", "a b", "é"}) {
    const Result<ChatCommand> result = parse_chat_command(std::string("/save ") + bad);
    ASSERT_FALSE(result.ok()) << bad;
    EXPECT_EQ(result.error().what, "not a name for a conversation");
  }
  EXPECT_TRUE(parse_chat_command("/save " + std::string(64, 'a')).ok());
  EXPECT_FALSE(parse_chat_command("/save " + std::string(65, 'a')).ok());
}

TEST(ChatCommands, wrong_arguments_are_answered_with_the_usage) {
  const struct {
    std::string_view message, want, found;
  } cases[] = {
      {"/help me", "/help", "me"},
      {"/think", "/think off|on|low|high|max|N", "nothing"},
      {"/think hard", "/think off|on|low|high|max|N", "hard"},
      {"/set", "/set NAME VALUE", "nothing"},
      {"/set temperature", "/set NAME VALUE", "temperature"},
      {"/file", "/file PATH", "nothing"},
      {"/save", "/save NAME", "nothing"},
  };
  for (const auto& [message, want, found] : cases) {
    const Result<ChatCommand> result = parse_chat_command(message);
    ASSERT_FALSE(result.ok()) << message;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalid);
    EXPECT_EQ(result.error().want, want);
    EXPECT_EQ(result.error().found, found);
  }
}

TEST(ChatCommands, an_unknown_word_names_the_nearest_command) {
  const Result<ChatCommand> near = parse_chat_command("/hepl");
  ASSERT_FALSE(near.ok());
  EXPECT_EQ(near.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(near.error().want, "/help");
  EXPECT_EQ(parse_chat_command("/frobnicate").error().want, "a command that /help lists");
}

TEST(ChatCommands, paths_and_text_behind_a_space_are_messages) {
  EXPECT_FALSE(is_chat_command("/usr/bin/env fails, why?"));
  EXPECT_FALSE(is_chat_command(" /help"));
  EXPECT_FALSE(is_chat_command("/"));
  EXPECT_FALSE(is_chat_command("/ 2"));
  EXPECT_FALSE(is_chat_command("// a comment"));
  EXPECT_FALSE(is_chat_command(""));
  EXPECT_FALSE(is_chat_command("hello"));
}

TEST(ChatCommands, help_lists_every_command_within_eighty_columns) {
  const std::string help = chat_help();
  for (const std::string& name : chat_command_names()) EXPECT_NE(help.find("  " + name), std::string::npos) << name;
  for (size_t begin = 0; begin < help.size();) {
    const size_t end = help.find('\n', begin);
    EXPECT_LE(end - begin, 80u) << help.substr(begin, end - begin);
    begin = end + 1;
  }
}

}  // namespace
}  // namespace hadal
