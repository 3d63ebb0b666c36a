#include "prompt/v4_turns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hadal::v4 {
namespace {

using ::testing::ElementsAre;

Message with_task(Message message, std::string_view task) {
  message.task = task;
  return message;
}

Message with_calls(std::initializer_list<const char*> ids) {
  Message message = assistant_message("");
  for (const char* id : ids) message.tool_calls.push_back({.id = id, .name = "f", .arguments = "{}"});
  return message;
}

std::vector<std::vector<size_t>> groups(const std::vector<Message>& messages) {
  std::vector<std::vector<size_t>> indices;
  for (const Turn& turn : turns_of(messages, false)) indices.push_back(turn.messages);
  return indices;
}

using Groups = std::vector<std::vector<size_t>>;

TEST(V4Turns, users_and_tool_results_in_a_row_share_one_turn) {
  EXPECT_EQ(
      groups({user_message("a"), user_message("b"), with_calls({"1"}), tool_message("1", "r"), user_message("c")}),
      (Groups{{0, 1}, {2}, {3, 4}}));
}

TEST(V4Turns, a_task_closes_a_user_turn_for_users_but_not_for_tool_results) {
  const Message task = with_task(user_message("a"), "query");
  EXPECT_EQ(groups({task, user_message("b")}), (Groups{{0}, {1}}));
  EXPECT_EQ(groups({task, tool_message("1", "r")}), (Groups{{0, 1}}));
}

TEST(V4Turns, a_task_on_a_user_message_that_joins_another_is_lost_as_in_the_release) {
  const std::vector<Message> messages = {user_message("a"), with_task(user_message("b"), "query")};
  const std::vector<Turn> turns = turns_of(messages, false);
  ASSERT_EQ(turns.size(), 1u);
  EXPECT_EQ(turns[0].task, "");
}

TEST(V4Turns, results_take_the_order_of_the_calls_and_texts_keep_their_places) {
  EXPECT_EQ(groups({with_calls({"x", "y", "z"}), tool_message("z", ""), user_message("t"), tool_message("x", ""),
                    tool_message("y", "")}),
            (Groups{{0}, {3, 2, 4, 1}}));
}

TEST(V4Turns, results_of_unknown_calls_count_as_results_of_the_first) {
  EXPECT_EQ(groups({with_calls({"x", "y"}), tool_message("y", ""), tool_message("?", ""), tool_message("x", "")}),
            (Groups{{0}, {2, 3, 1}}));
}

TEST(V4Turns, without_ids_results_keep_the_order_of_the_messages) {
  EXPECT_EQ(groups({with_calls({"", ""}), tool_message("b", ""), tool_message("a", "")}), (Groups{{0}, {1, 2}}));
}

TEST(V4Turns, the_order_of_the_last_calls_holds_until_the_next_calls) {
  EXPECT_EQ(groups({with_calls({"x", "y"}), tool_message("x", ""), assistant_message("thinking aloud"),
                    tool_message("y", ""), tool_message("x", "")}),
            (Groups{{0}, {1}, {2}, {4, 3}}));
}

TEST(V4Turns, developers_before_the_last_user_turn_are_dropped) {
  Message developer = user_message("d");
  developer.role = Role::kDeveloper;
  const std::vector<Message> messages = {developer, assistant_message("a"), developer, tool_message("1", "r")};
  std::vector<Turn> turns = turns_of(messages, false);
  EXPECT_EQ(last_user_turn(turns, false), 3);
  drop_earlier_developers(turns, false);
  ASSERT_EQ(turns.size(), 2u);
  EXPECT_EQ(turns[0].role, Role::kAssistant);
  EXPECT_EQ(last_user_turn(turns, false), 1);

  std::vector<Turn> last = turns_of(std::span(messages).first(3), false);
  drop_earlier_developers(last, false);
  ASSERT_EQ(last.size(), 2u);
  EXPECT_EQ(last[1].role, Role::kDeveloper);
}

TEST(V4Turns, a_conversation_without_users_has_no_last_user_turn) {
  const std::vector<Message> messages = {system_message("s"), assistant_message("a")};
  EXPECT_EQ(last_user_turn(turns_of(messages, false), false), -1);
}

}  // namespace
}  // namespace hadal::v4
